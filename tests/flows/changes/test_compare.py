"""A plan says what a person changed since a shot was rendered, and nothing that merely follows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import pytest

from flows.changes.compare import LastRender, changes_between, reasons_for
from flows.changes.fingerprint import Fingerprint, fingerprint, read_fingerprint
from flows.plan.plan import RenderPlan, plan_render
from flows.plan.shot_plan import ShotInput
from tasks.encode.encoders import EncodeSpec
from tasks.frames.colour import delivery_picture
from tasks.worker.item import SourceInput
from tests.flows.plan.test_plan import HOLD, make_input, names, step

RECIPE = (HOLD, step("interpolate", factor=2, keep=True), step("upscale", scale=2))


def shot(**more: Any) -> ShotInput:
    """A film's shot of twenty frames, of which only the whole source is known."""
    first = more.get("first", 0)
    given = {"frames": names("a", 20), "recipe": RECIPE, **more}
    made = make_input(**given)
    content = [made.source.digest, first, len(made.track)]
    return replace(made, material=lambda indices: {"build": "av 1", "frames": {"pts": content}})


def folder_shot(frames: list[str], **more: Any) -> ShotInput:
    """A shot of a folder of pictures, each known by its own digest."""
    made = make_input(frames=frames, recipe=RECIPE, **more)
    source = SourceInput(path="f", digest=str(frames), index_name="probes/f.json", first=0)

    def material(indices: Any) -> object:
        return {"build": "av 1", "frames": {"files": [frames[index] for index in indices]}}

    return replace(made, source=source, material=material)


def planned(
    entry: ShotInput,
    *,
    chunk: int = 8,
    device: str = "cpu",
    pix_fmt: str | None = None,
    **encode: Any,
) -> RenderPlan:
    return plan_render(
        [entry],
        episode="ep",
        run="now",
        chunk=chunk,
        device=device,
        delivery=partial(delivery_picture, pix_fmt=pix_fmt, encoder="libx264"),
        encode=EncodeSpec(encoder="libx264", pix_fmt=pix_fmt, **encode),
    )


def kept(made: Fingerprint) -> Fingerprint:
    """As a manifest gives it back."""
    read = read_fingerprint(json.loads(json.dumps(made.to_json())))
    assert read is not None
    return read


def why(was: RenderPlan, now: RenderPlan, *, old: bool = False) -> list[str]:
    """The words for a shot of which all of `was` is stored."""
    (before,), (after,) = was.shots, now.shots
    seen = LastRender(
        run="then",
        objects=frozenset(before.names()),
        made_from=None if old else kept(fingerprint(before)),
    )
    plan = now.with_stored(frozenset(before.names()))
    return [reason.words for reason in reasons_for(plan, after, seen)]


def recipe(*steps: Any) -> Callable[..., ShotInput]:
    return partial(shot, recipe=steps)


def test_what_was_never_rendered_is_new() -> None:
    plan = planned(shot())
    assert [r.words for r in reasons_for(plan, plan.shots[0], None)] == ["new"]


def test_what_has_not_changed_is_stored() -> None:
    assert why(planned(shot()), planned(shot())) == ["stored"]


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (
            recipe(HOLD, step("interpolate", factor=2, keep=True), step("upscale", scale=3)),
            ["upscale.scale 2 → 3"],
        ),
        (
            recipe(HOLD, step("interpolate", factor=3, keep=True), step("upscale", scale=2)),
            ["interpolate.factor 2 → 3"],
        ),
        (
            recipe(step("interpolate", factor=2, keep=True), step("upscale", scale=2)),
            ["recipe hold → interpolate → upscale is now interpolate → upscale"],
        ),
        (
            recipe(
                HOLD, step("interpolate", factor=2, keep=True), step("upscale", precision="bf16")
            ),
            ["upscale.precision unset → bf16", "upscale.scale 2 → unset"],
        ),
        (partial(shot, first=5), ["cut moved: frames 0-19 → 5-24"]),
        (partial(shot, frames=names("a", 15)), ["cut moved: frames 0-19 → 0-14"]),
        (partial(shot, steps=(Fraction(1, 25),)), ["rate 24 → 25"]),
    ],
)
def test_what_changed_is_named(now: Callable[..., ShotInput], words: list[str]) -> None:
    assert why(planned(shot()), planned(now())) == words


def test_another_film_is_a_changed_source() -> None:
    entry = shot()
    other = replace(
        entry,
        source=replace(entry.source, digest="e"),
        material=lambda indices: {"build": "av 1", "frames": "e"},
    )
    assert why(planned(entry), planned(other)) == ["source changed"]


def test_changed_pictures_of_a_folder_are_named() -> None:
    before, after = names("a", 20), names("a", 20)
    after[3] = after[4] = after[17] = "new"
    words = why(planned(folder_shot(before)), planned(folder_shot(after)))
    assert words == ["source changed: frames 3-4, 17"]


def test_frames_beyond_a_moved_cut_are_not_said_to_have_changed() -> None:
    long, short = names("a", 20), names("a", 15)
    words = why(planned(folder_shot(long)), planned(folder_shot(short)))
    assert words == ["cut moved: frames 0-19 → 0-14"]


def test_the_encoder_alone_leaves_the_frames() -> None:
    assert why(planned(shot()), planned(shot(), quality=20)) == ["encoder: quality unset → 20"]
    assert why(planned(shot()), planned(shot(), preset="slow")) == ["encoder: preset unset → slow"]


def test_other_planes_are_made_of_other_frames() -> None:
    was, now = planned(shot()), planned(shot(), pix_fmt="yuv420p10le")
    assert why(was, now) == ["encoder: pix_fmt yuv420p → yuv420p10le"]
    (made,), (before,) = now.shots, was.shots
    seen = LastRender(
        run="then", objects=frozenset(before.names()), made_from=kept(fingerprint(before))
    )
    (reason,) = reasons_for(now.with_stored(frozenset(before.names())), made, seen)
    assert reason.run == len(made.runs) - 1


def test_a_larger_picture_is_not_told_as_the_encoders_change() -> None:
    larger = shot(recipe=(*RECIPE[:2], step("upscale", scale=4)))
    assert why(planned(shot()), planned(larger)) == ["upscale.scale 2 → 4"]


def test_another_device_and_chunk_length_are_named() -> None:
    assert why(planned(shot()), planned(shot(), device="cuda")) == ["device cpu → cuda"]
    assert why(planned(shot()), planned(shot(), chunk=4)) == ["frames per chunk 8 → 4"]


def changed(stage: str, **marks: Any) -> list[str]:
    """The words where the marks of a stage were others before."""
    plan = planned(shot())
    (only,) = plan.shots
    now = kept(fingerprint(only))
    runs = tuple(
        tuple(replace(mark, **marks) if mark.stage == stage else mark for mark in run)
        for run in now.runs
    )
    seen = LastRender(run="then", objects=frozenset(), made_from=replace(now, runs=runs))
    return [reason.words for reason in reasons_for(plan, only, seen)]


def test_a_model_and_a_stage_of_another_version_are_named() -> None:
    assert changed("upscale", model="0" * 64) == ["upscale: model changed"]
    assert changed("hold", version=0) == ["hold version 0 → 1"]


def test_a_reference_is_named_by_its_file() -> None:
    plan = planned(shot())
    (only,) = plan.shots
    now = kept(fingerprint(only))
    ((hold, interpolate), (upscale,)) = now.runs

    def with_art(digest: str) -> Fingerprint:
        painted = replace(hold, assets={"art/mika.png": digest})
        return replace(now, runs=((painted, interpolate), (upscale,)))

    assert [each.words for each in changes_between(with_art("1"), with_art("2"))] == [
        "reference changed: mika.png"
    ]
    assert [each.words for each in changes_between(now, with_art("2"))] == [
        "reference added: mika.png"
    ]


def test_what_a_stopped_run_left_is_begun_not_finished() -> None:
    plan = planned(shot())
    (only,) = plan.shots
    begun = plan.with_stored({only.names()[0]})
    assert [r.words for r in reasons_for(begun, only, None)] == ["begun, not finished"]
    other = planned(shot(recipe=RECIPE[:2]))
    (before,) = other.shots
    seen = LastRender(run="then", objects=frozenset(before.names()), made_from=fingerprint(before))
    last = plan.with_stored({only.runs[1].items[0].key, only.names()[-2]})
    assert [r.words for r in reasons_for(last, only, seen)][-1] == "begun, not finished"


def test_objects_that_vanished_are_said_to_be_gone() -> None:
    plan = planned(shot())
    (only,) = plan.shots
    seen = LastRender(run="then", objects=frozenset(only.names()), made_from=fingerprint(only))
    assert [r.words for r in reasons_for(plan, only, seen)] == ["gone from the store"]


def test_a_manifest_of_an_older_douga_tells_less_and_breaks_nothing() -> None:
    larger = shot(recipe=(*RECIPE[:2], step("upscale", scale=3)))
    assert why(planned(shot()), planned(larger), old=True) == ["changed"]
    assert read_fingerprint(None) is None
    assert read_fingerprint({"runs": "?"}) is None
    of_a_newer = {**fingerprint(planned(shot()).shots[0]).to_json(), "mood": "blue"}
    assert read_fingerprint(of_a_newer) is not None


def test_a_reason_reaches_the_chunks_that_come_after_it_only() -> None:
    larger = planned(shot(recipe=(*RECIPE[:2], step("upscale", scale=3))))
    (before,), (after,) = planned(shot()).shots, larger.shots
    seen = LastRender(run="then", objects=frozenset(before.names()), made_from=fingerprint(before))
    (reason,) = reasons_for(larger.with_stored(frozenset(before.names())), after, seen)
    assert (reason.kind, reason.run) == ("parameters", 1)
