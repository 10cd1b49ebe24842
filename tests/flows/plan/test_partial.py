"""Partial chunks: exactly the frames asked for and what they need, whatever chunks there are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flows.plan.partial import (
    frame_words,
    missing_spans,
    pick_chunks,
    pick_frames,
    plan_partials,
    reused_frames,
)
from flows.plan.plan import ShotPlan
from flows.plan.shot_plan import ShotInput
from tasks.frames.track import Span
from tasks.worker.item import WorkItem, chunk_name
from tests.flows.plan.test_plan import films, make_film, names, planned, reads_frame, step

KEEP_BOTH = [
    step("interpolate", True, factor=2, engine="average"),
    step("interpolate", rate=60, engine="average"),
]


def first_shot(film: list[ShotInput], chunk: int) -> ShotPlan:
    return next(shot for shot in planned(film, chunk).shots if len(shot.track))


def made(items: tuple[WorkItem, ...]) -> list[int]:
    """Every frame that items compute, in order, as often as they do."""
    return [frame for item in items for span in missing_spans(item) for frame in span]


def held(shot: ShotPlan, run: int, stored: set[str]) -> set[int]:
    """The frames of a run that stored chunks hold."""
    chunks = (item for item in shot.runs[run].items if chunk_name(item.key) in stored)
    return {frame for item in chunks for frame in item.out.indices()}


@given(films(), st.integers(1, 12), st.data())
def test_exactly_the_frames_asked_for_and_what_they_need_are_made(
    film: list[ShotInput], chunk: int, data: st.DataObject
) -> None:
    shot = first_shot(film, chunk)
    frames = data.draw(st.sets(st.integers(0, len(shot.track) - 1)))
    stored = {name for name in shot.names() if data.draw(st.booleans())}
    picked = pick_frames(shot.runs, frames, stored=stored)
    wanted, there = set(frames), set(stored)
    for number, run in reversed(list(enumerate(shot.runs))):
        assert sorted(made(picked[number])) == sorted(wanted - held(shot, number, stored))
        assert all(0 < len(item.out) <= chunk for item in picked[number])
        wanted = {i for item in picked[number] for i in run.planner.inputs(item.out)}
    for run, items in zip(shot.runs, picked, strict=True):
        for item in items:
            assert item.key not in there
            if item.chunks:
                assert {chunk_name(key) for key, _ in item.chunks.chunks} <= there
                read = [i for _, span in item.chunks.chunks for i in span.indices()]
                assert tuple(read) == run.planner.inputs(item.out)
        there |= {chunk_name(item.key) for item in items}


@given(films(), st.integers(1, 12), st.integers(1, 12), st.data())
def test_chunks_take_what_stored_partial_chunks_hold_and_make_the_rest(
    film: list[ShotInput], first_chunk: int, chunk: int, data: st.DataObject
) -> None:
    """Whatever chunk size the partial chunks were planned with."""
    before = first_shot(film, first_chunk)
    frames = data.draw(st.sets(st.integers(0, len(before.track) - 1), min_size=1))
    picked = pick_frames(before.runs, frames, stored=set())
    spans = {
        (number, run.name): {item.out for item in items}
        for number, (run, items) in enumerate(zip(before.runs, picked, strict=True))
    }
    stored = {
        chunk_name(run.planner.partial(item.out).key)
        for run, items in zip(before.runs, picked, strict=True)
        for item in items
    }
    shot = first_shot(film, chunk)
    partials = plan_partials(shot.runs, spans)
    todo = pick_chunks(shot.runs, stored=stored, partials=partials)
    for run, items, known, own in zip(shot.runs, todo, partials, picked, strict=True):
        there = {chunk_name(item.key) for item in known} & stored
        kept = {i for item in own for i in item.out.indices()}
        for item in items:
            taken = [i for _, span in item.have for i in span.indices()]
            assert sorted([*taken, *made((item,))]) == list(item.out.indices())
            assert kept & set(item.out.indices()) <= set(taken)
            assert {chunk_name(key) for key, _ in item.have} <= there
            assert reused_frames(item) == len(taken)
        asked = {c.key for c in run.items if chunk_name(c.key) not in stored}
        assert {item.key for item in items} <= asked
    last = {chunk_name(item.key) for item in shot.runs[-1].items}
    assert last <= stored | {chunk_name(item.key) for item in todo[-1]}


def test_an_earlier_chunk_is_left_out_where_partial_chunks_hold_all_that_would_read_it() -> None:
    shot = first_shot(make_film([names("a", 16)], recipe=KEEP_BOTH), 8)
    one, two = shot.runs
    partials = ((), tuple(two.planner.partial(Span(i, i + 1)) for i in range(16)))
    stored = {chunk_name(item.key) for item in partials[1]}
    picked = pick_chunks(shot.runs, stored=stored, partials=partials)
    assert made(picked[1][:2]) == []
    needed = {i for item in picked[1][2:] for i in two.planner.inputs(item.out)}
    assert {item.key for item in picked[0]} == {
        item.key for item in one.items if needed & set(item.out.indices())
    }
    assert len(picked[0]) < len(one.items)


@given(films(), st.data())
def test_a_changed_frame_changes_exactly_the_partial_chunks_that_read_it(
    film: list[ShotInput], data: st.DataObject
) -> None:
    shot = first_shot(film, 8)
    number = [entry.shot.id for entry in film].index(shot.shot.id)
    frame = data.draw(st.integers(0, len(film[number].track) - 1))
    out = data.draw(st.integers(0, len(shot.track) - 1))
    same, changed = list(film), list(film)
    same[number] = replace(film[number], material=lambda indices: list(indices))
    changed[number] = replace(
        film[number], material=lambda indices: ["new" if i == frame else i for i in indices]
    )
    keys = []
    for entries in (same, changed):
        last = next(s for s in planned(entries, 8).shots if s.shot.id == shot.shot.id).runs[-1]
        keys.append(last.planner.partial(Span(out, out + 1)).key)
    # In chunks of one frame a partial chunk and a chunk read the same.
    fine = next(s for s in planned(same, 1).shots if s.shot.id == shot.shot.id)
    touched = reads_frame(fine, fine.runs[-1].items[out], frame)
    if len(shot.runs) == 1:
        assert (keys[0] != keys[1]) == touched
    else:
        assert keys[0] == keys[1] or touched


def test_a_frame_held_between_two_that_are_needed_is_in_no_key() -> None:
    """Frames 8 and 9 are one drawing; the in-between at 11 is made of the drawings 8 and 10."""
    recipe = [step("hold", True), step("interpolate", None, rate=30)]
    (entry,) = make_film([names("a", 11)], on=2, recipe=recipe)

    def changed(at: int | None) -> ShotInput:
        return replace(entry, material=lambda indices: ["new" if i == at else i for i in indices])

    keys = []
    for at in (None, 9, 10):
        (shot,) = planned([changed(at)], 8).shots
        keys.append(shot.runs[-1].planner.partial(Span(11, 12)).key)
    assert keys[0] == keys[1] != keys[2]


def test_frames_are_told_as_the_option_takes_them() -> None:
    shot = first_shot(make_film([names("a", 20)]), 8)
    picked = pick_frames(shot.runs, {7, 12, 13, 14, 16}, stored=set())
    assert frame_words(picked[0]) == "7,12-14,16"
    assert frame_words(()) == ""


def test_a_chunk_asked_for_whole_is_the_chunk_itself() -> None:
    shot: Any = first_shot(make_film([names("a", 20)]), 8)
    picked = pick_frames(shot.runs, set(range(8, 18)), stored=set())
    assert [item.out for item in picked[0]] == [Span(8, 16), Span(16, 18)]
    assert picked[0][0].key == shot.runs[0].items[1].key
