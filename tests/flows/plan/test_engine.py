"""Which engine a plan has: fast where that is known to be had, and the same for all its renders."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import ClusterError, UsageError
from cluster.pool.actor import ActorLocation
from cluster.pool.spec import PoolSpec, other_build
from flows.changes.manifest import write_missing_manifests
from flows.commands.tables.plan import plan_document
from flows.farm.farm import open_farm
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.spec.request import make_request
from tasks.models import calibrate, engine
from tasks.models.engine import EXACT, PLAIN, engines_here
from tasks.worker import build
from tasks.worker.build import build_for, worker_build

BF16 = "openvino-bf16-amx"
RECIPE = ["interpolate: {factor: 2}", "upscale: {}"]


class Machine:
    """What this machine has from here on. `measured` are the networks whose nearness was."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self._library = f"openvino {secrets.token_hex(4)}"
        self.measured: list[str] = []

    def has(self, *flags: str, library: str | None = None, near_db: float = 67.0) -> None:
        """These flags and this library, whose engines come so near to exact."""
        found = self._library if library is None else library
        engines_here.cache_clear()
        self._patch.setattr(engine, "processor_flags", lambda: frozenset(flags))
        for module in (engine, build):
            self._patch.setattr(module, "library_here", lambda: found)

        def measure(card: Any, by: str) -> float:
            self.measured.append(card.name)
            return near_db

        self._patch.setattr(calibrate, "_measure", measure)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """One without units for bf16, and with OpenVINO, until told otherwise."""
    machine = Machine(monkeypatch)
    machine.has()
    yield machine
    engines_here.cache_clear()


class Episode:
    """An episode of two shots, planned as often as asked; nothing of it is ever rendered."""

    def __init__(self, film: Path, folder: Path) -> None:
        self._film, self._folder = film, folder

    def plan(self, *, precision: str = "", recipe: list[str] = RECIPE, **more: Any) -> Prepared:
        steps = [step.replace("}", f", precision: {precision}}}") for step in recipe]
        lines = [*(steps if precision else recipe)]
        spec = self._folder / "ep.yaml"
        text = "".join(f"\n  - {{{line.replace('{, ', '{')}}}" for line in lines)
        store = self._folder / "store"
        spec.write_text(
            f"source: {self._film}\nname: ep\ncut: [24]\nstore: {store}\nrecipe:{text}\n"
        )
        request = make_request(str(spec), output=str(self._folder / "f.mkv"), **more)
        return prepare(request, Silent())

    def render(self, prepared: Prepared, *, broken_off: bool = False) -> None:
        """Everything stored as if it were rendered; broken off, no shot was done."""
        names = prepared.plan.names()
        for name in names[:2] if broken_off else names:
            prepared.store.put(name, b"as if rendered")
        if not broken_off:
            write_missing_manifests(prepared.store, prepared.plan.with_stored(set(names)))


@pytest.fixture
def episode(tiny_film: Path, tmp_path: Path) -> Episode:
    return Episode(tiny_film, tmp_path)


def keys(prepared: Prepared) -> list[str]:
    return prepared.plan.names()


def test_the_fastest_engine_of_this_machine_is_the_default(
    episode: Episode, machine: Machine
) -> None:
    plain = episode.plan()
    assert plain.plan.engine == PLAIN
    machine.has("amx_bf16")
    quick = episode.plan()
    assert quick.plan.engine == BF16
    assert "67.0 dB" in quick.engine.words
    assert not set(keys(quick)) & set(keys(plain)), "bits are promised for one engine"
    document = plan_document(quick)
    assert (document["engine"], document["engine_why"]) == (BF16, quick.engine.words)


def test_nearness_is_measured_once_for_each_network(episode: Episode, machine: Machine) -> None:
    machine.has("amx_bf16")
    for _ in range(2):
        episode.plan()
    assert sorted(machine.measured) == ["inbetween", "upscale2x"]
    machine.has("amx_bf16", library="openvino 2027.1")
    episode.plan()
    assert len(machine.measured) == 4


def test_an_engine_too_far_from_exact_is_not_taken(episode: Episode, machine: Machine) -> None:
    machine.has("amx_bf16", near_db=59.9)
    prepared = episode.plan()
    assert prepared.plan.engine == PLAIN
    assert "59.9 dB" in prepared.engine.words


def test_exact_has_the_keys_that_there_were_before_engines(
    episode: Episode, machine: Machine
) -> None:
    exact = episode.plan(precision="exact")
    assert exact.plan.engine == EXACT
    machine.has(library="")
    without = episode.plan()
    assert "douga[fast]" in without.engine.words
    assert keys(without) == keys(exact)
    assert keys(episode.plan(precision="fast")) == keys(exact), "nothing is faster here"
    machine.has()
    assert keys(episode.plan(precision="fast")) == keys(episode.plan()) != keys(exact)


def test_networks_of_one_stage_may_be_exact(episode: Episode) -> None:
    mixed = episode.plan(recipe=["interpolate: {factor: 2, precision: exact}", "upscale: {}"])
    stages = [stage for run in mixed.plan.shots[0].runs for _, stage in run.planner.group]
    assert [stage.card().engine for stage in stages] == ["opencv-dis+torch-fp32", PLAIN]


def test_a_recipe_without_networks_has_no_engine(episode: Episode) -> None:
    prepared = episode.plan(recipe=["hold: {}"])
    assert (prepared.plan.engine, prepared.engine.words) == (EXACT, "")


@pytest.mark.parametrize("step", ["upscale: {fast: openvino-fp32}", "upscale: {cards: []}"])
def test_what_the_plan_fills_in_is_not_typed(episode: Episode, step: str) -> None:
    with pytest.raises(UsageError, match=r"unknown parameter .*precision"):
        episode.plan(recipe=[step])


def test_workers_elsewhere_are_exact_unless_asked(episode: Episode) -> None:
    prepared = episode.plan(ray="farm:6379")
    assert prepared.plan.engine == EXACT
    assert "farm:6379" in prepared.engine.words
    assert episode.plan(ray="farm:6379", precision="fast").plan.engine == PLAIN


@pytest.mark.parametrize("broken_off", [False, True], ids=["rendered", "broken off"])
@pytest.mark.parametrize("ray", ["", "farm:6379"], ids=["fast", "exact"])
def test_an_episode_keeps_the_engine_of_its_frames(
    episode: Episode, broken_off: bool, ray: str
) -> None:
    first = episode.plan(ray=ray)
    assert first.plan.engine == ("" if ray else PLAIN)
    episode.render(first, broken_off=broken_off)
    for elsewhere in ("", "farm:6379"):
        again = episode.plan(ray=elsewhere)
        assert keys(again) == keys(first)
        assert again.plan.stored


def test_frames_by_versions_without_engines_are_kept(episode: Episode) -> None:
    episode.render(episode.plan(precision="exact"))
    prepared = episode.plan()
    assert prepared.plan.engine == EXACT
    assert not any(map(prepared.plan.todo, prepared.plan.shots))


def test_a_recipe_that_asks_changes_the_engine(episode: Episode) -> None:
    episode.render(episode.plan(precision="exact"))
    asked = episode.plan(precision="fast")
    assert asked.plan.engine == PLAIN
    reasons = [why for shot in plan_document(asked)["shots"] for why in shot["why"]]
    assert any("precision" in why for why in reasons), reasons
    episode.render(asked)
    assert episode.plan().plan.engine == PLAIN, "the newest frames count"
    assert episode.plan(precision="exact").plan.engine == EXACT


def test_a_machine_without_the_episode_s_engine_plans_and_does_not_render(
    episode: Episode, machine: Machine
) -> None:
    machine.has("amx_bf16")
    episode.render(episode.plan(), broken_off=False)
    machine.has()
    here = episode.plan()
    assert here.plan.engine == BF16
    assert not any(map(here.plan.todo, here.plan.shots)), "all of it is stored"
    with (
        pytest.raises(ClusterError, match=rf"ep: .*{BF16}.*{PLAIN}.*precision: exact"),
        open_farm(here.request, here.plan, Silent()),
    ):
        pytest.fail("a farm that cannot make its frames")


def test_a_damaged_manifest_is_passed_over(episode: Episode) -> None:
    first = episode.plan(precision="fast")
    episode.render(first)
    names = [stored.name for stored in first.store.list("shots/")]
    first.store.put(names[-1], json.dumps({"run": "x"}).encode())
    assert episode.plan().plan.engine == PLAIN


def test_workers_without_the_plan_s_engine_are_left_out_by_name(machine: Machine) -> None:
    exact, plain, quick = (build_for(name) for name in (EXACT, PLAIN, BF16))
    assert not why_not(exact)
    assert not why_not(plain)
    assert why_not(quick).startswith("node7 ")
    assert BF16 in why_not(quick)
    machine.has("amx_bf16")
    assert not any(map(why_not, (exact, plain, quick)))
    machine.has("amx_bf16", library="openvino 2027.1")
    assert "2027.1" in why_not(quick)
    machine.has(library="")
    assert PLAIN in why_not(plain)
    assert not why_not(exact), "who has no OpenVINO makes exact frames"


def why_not(asked: dict[str, str]) -> str:
    """Why a worker on this machine must not work for a pool that asks for such a build."""
    spec = PoolSpec(handler="none", config=None, workers=1, build=asked)
    return other_build(spec, ActorLocation(node="n1", host="node7", pid=1, build=worker_build()))
