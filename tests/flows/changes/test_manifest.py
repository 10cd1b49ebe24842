"""Whatever fails and whenever one looks: no manifest in the store names what is not there."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from cluster.errors import StoreError
from cluster.keys import Digest
from cluster.ledger.history import read_ledger
from cluster.store.base import NotStored, Store
from cluster.store.open import open_store
from flows.changes.manifest import write_missing_manifests
from flows.farm.pins import PINS, SWEEPS, pinned
from flows.farm.shot import (
    ShotResult,
    ShotWork,
    make_work,
    render_shot_now,
    shots_to_render,
)
from flows.farm.upload import upload_inputs
from flows.gc.sweep import collect
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.spec.request import make_request
from tasks.models.device import Device
from tasks.worker.item import chunk_name, segment_name
from tasks.worker.worker import Worker, WorkerConfig
from tests.farm_here import FarmHere

pytestmark = pytest.mark.usefixtures("no_grace")

RECIPE = ["interpolate: {factor: 2, engine: average, keep: true}", "hold: {}"]


class Breaking:
    """A store whose n-th put (from 0) fails for good, before or after it was done."""

    def __init__(self, store: Store, fails_at: int, *, done: bool) -> None:
        self._store = store
        self._fails_at = fails_at
        self._done = done
        self.puts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, name: str, data: bytes, **more: Any) -> Digest:
        with self._maybe():
            return self._store.put(name, data, **more)

    def put_file(self, name: str, path: Path, **more: Any) -> Digest:
        with self._maybe():
            return self._store.put_file(name, path, **more)

    @contextmanager
    def _maybe(self) -> Iterator[None]:
        number, self.puts = self.puts, self.puts + 1
        fails = number == self._fails_at
        if fails and not self._done:
            raise StoreError("refused", where="test")
        yield
        if fails:
            raise StoreError("the answer was lost", where="test")


def planned(film: Path, folder: Path, *, stages: list[str]) -> Prepared:
    """Two shots of a second each in chunks of twelve frames; only the first is asked for."""
    episode = folder / "ep.yaml"
    steps = "".join(f"\n  - {{{stage}}}" for stage in stages)
    episode.write_text(
        f"source: {film}\nname: ep\ncut: [24]\nstore: {folder / 'store'}\nrecipe:{steps}\n"
    )
    return prepare(
        make_request(str(episode), output=str(folder / "f.mkv"), chunk=12, shots="sh010"), Silent()
    )


def attempt(prepared: Prepared, folder: Path, store: Store) -> ShotResult:
    """One attempt at the first shot, its worker and its driver both using `store`."""
    return render_shot_now(work_on(prepared, folder, store), prepared.plan.shots[0])


def work_on(prepared: Prepared, folder: Path, store: Store) -> ShotWork:
    worker = Worker(
        WorkerConfig(store_url=prepared.store.url, cache=str(folder / "cache"), device=Device()),
        store=store,
    )
    work = make_work(prepared, FarmHere(worker), Silent())
    work.store = store
    return work


def named(store: Store) -> Iterator[tuple[str, set[str]]]:
    """Every manifest that can be read, with all it names."""
    for stored in store.list("shots/"):
        try:
            manifest = json.loads(store.get(stored.name))
        except NotStored:
            continue
        chunks = {chunk["name"] for run in manifest["runs"] for chunk in run["chunks"]}
        yield stored.name, {manifest["segment"], *chunks, *manifest["reads"]}


def absent(store: Store) -> dict[str, set[str]]:
    """Manifests that name what is not there, and are still there themselves."""
    lacking = {name: names - store.has(names) for name, names in named(store)}
    return {name: lost for name, lost in lacking.items() if lost and store.has([name])}


@pytest.mark.parametrize("done", [False, True], ids=["refused", "answer lost"])
def test_no_failing_put_leaves_a_manifest_that_names_an_absent_object(
    tiny_film: Path, tmp_path: Path, done: bool
) -> None:
    """At every put of a render in turn; what was stored before is used by the next attempt."""
    failed = 0
    while True:
        folder = tmp_path / str(failed)
        folder.mkdir()
        prepared = planned(tiny_film, folder, stages=RECIPE)
        store = prepared.store
        upload_inputs(prepared, Silent())
        breaking = Breaking(store, failed, done=done)
        try:
            attempt(prepared, folder, cast("Store", breaking))
        except StoreError:
            assert absent(store) == {}
        else:
            if breaking.puts <= failed:
                break
            # What was found of a segment may be lost: its film is looked at then.
        shot = prepared.plan.shots[0]
        there = store.has(shot.names())
        again = prepare(prepared.request, Silent())
        receipts = attempt(again, folder, store).receipts if shots_to_render(again) else ()
        made = {receipt.key for receipt in receipts if not receipt.reused}
        assert made == {name.split("/")[2].split(".")[0] for name in set(shot.names()) - there}
        write_missing_manifests(store, again.plan.with_stored(store.has(again.plan.names())))
        assert absent(store) == {}
        assert len(list(named(store))) == 1
        failed += 1
    assert failed >= 2 * 4 + 1 + 3, "eight chunks, a segment, its evidence, ledger, manifest"


def test_a_reader_never_sees_a_manifest_that_names_an_absent_object(
    tiny_film: Path, tmp_path: Path
) -> None:
    """Reading all the while that renders write and gc takes away what they replaced."""
    first = planned(tiny_film, tmp_path, stages=RECIPE)
    upload_inputs(first, Silent())
    ended = threading.Event()
    seen: set[str] = set()

    def read() -> list[dict[str, set[str]]]:
        store = open_store(first.store.url)
        found = []
        while not ended.is_set():
            found.append(absent(store))
            seen.update(name for name, _ in named(store))
        return found

    with ThreadPoolExecutor(1) as aside:
        reading = aside.submit(read)
        try:
            for turn in range(4):
                step = f"interpolate: {{factor: {2 + turn % 2}, engine: average}}"
                prepared = planned(tiny_film, tmp_path, stages=[step])
                with pinned(prepared, Silent()) as held:
                    if not held.plan.is_done(held.plan.shots[0]):  # gc may have left it all
                        attempt(held, tmp_path, held.store)
                collect(first.store.url, Silent(), keep_days=0)
        finally:
            ended.set()
        looked = reading.result()
    assert all(lost == {} for lost in looked)
    assert len(looked) > 4
    assert len(seen) >= 2


def test_an_object_that_vanished_since_the_plan_is_made_again(
    tiny_film: Path, tmp_path: Path
) -> None:
    prepared = planned(tiny_film, tmp_path, stages=RECIPE)
    upload_inputs(prepared, Silent())
    attempt(prepared, tmp_path, prepared.store)
    shot = prepared.plan.shots[0]
    assert shot.segment is not None
    prepared.store.delete(segment_name(shot.segment.key))
    prepared.store.delete(chunk_name(shot.runs[1].items[0].key))
    stale = prepare(prepared.request, Silent())
    lost = chunk_name(shot.runs[0].items[0].key)
    prepared.store.delete(lost)
    work = work_on(stale, tmp_path, stale.store)
    with pytest.raises(StoreError, match="no such object"):
        render_shot_now(work, stale.plan.shots[0])
    render_shot_now(work, stale.plan.shots[0])
    assert prepared.store.has(shot.names()) == set(shot.names())


def test_a_run_holds_what_it_reads_and_makes_until_it_ends(tiny_film: Path, tmp_path: Path) -> None:
    """Chunks of nobody else, older than any grace: gc leaves them while the run is at work."""
    prepared = planned(tiny_film, tmp_path, stages=RECIPE)
    upload_inputs(prepared, Silent())
    attempt(prepared, tmp_path, prepared.store)
    for name, _ in list(named(prepared.store)):
        prepared.store.delete(name)
    run = prepare(prepared.request, Silent())
    everything = {stored.name for stored in run.store.list()}
    with pinned(run, Silent()):
        assert collect(run.store.url, Silent())["removed"] == []
        assert {stored.name for stored in run.store.list()} >= everything
    assert list(run.store.list(PINS)) == []
    assert collect(run.store.url, Silent())["gone"]["frames"]["objects"] == 8


def test_a_run_waits_for_a_sweep_and_then_asks_the_store_again(
    tiny_film: Path, tmp_path: Path
) -> None:
    prepared = planned(tiny_film, tmp_path, stages=RECIPE)
    upload_inputs(prepared, Silent())
    attempt(prepared, tmp_path, prepared.store)
    run = prepare(prepared.request, Silent())
    victim = run.plan.shots[0].names()[0]
    assert victim in run.plan.stored
    run.store.put(f"{SWEEPS}other", b"a gc at work")
    told: list[str] = []

    class Listening(Silent):
        def phase(self, text: str) -> None:
            told.append(text)

    def sweep_on(_: float) -> None:
        assert list(run.store.list(PINS)), "it says what it needs before it waits"
        run.store.delete(victim)
        run.store.delete(f"{SWEEPS}other")

    with pinned(run, Listening(), sleep=sweep_on) as held:
        assert victim not in held.plan.stored
    assert told == ["waiting for douga gc to end"]


def test_a_sweep_that_is_dead_is_not_waited_for(tiny_film: Path, tmp_path: Path) -> None:
    run = planned(tiny_film, tmp_path, stages=RECIPE)
    run.store.put(f"{SWEEPS}dead", b"")
    silent_since = time.time() - 3600
    os.utime(tmp_path / "store" / "sweeps" / "dead", (silent_since, silent_since))
    with pinned(run, Silent(), sleep=lambda _: pytest.fail("it waits")):
        pass


def test_receipts_of_a_chunk_that_another_run_made_first_say_so(
    tiny_film: Path, tmp_path: Path
) -> None:
    """Both planned the same at the same moment; the later one finds the chunks there."""
    one = planned(tiny_film, tmp_path, stages=RECIPE)
    other = prepare(one.request, Silent())
    upload_inputs(one, Silent())
    attempt(one, tmp_path, one.store)
    result = attempt(other, tmp_path, other.store)
    assert result.receipts
    assert all(receipt.reused for receipt in result.receipts)
    counted = read_ledger(one.store)
    assert sum(not receipt.reused for receipt in counted) == len(one.plan.shots[0].names())
