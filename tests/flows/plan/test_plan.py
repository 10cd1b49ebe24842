"""The plan: what is to be made given what is stored, under keys that name all pixels depend on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cluster.errors import UsageError
from cluster.keys import Key
from flows.plan.plan import RenderPlan, ShotPlan, plan_render
from flows.plan.shot_plan import ShotInput
from flows.spec.documents import StageSpec
from flows.spec.needs import NeedsSpec
from flows.spec.shots import Shot, shot_name
from tasks.encode.encoders import EncodeSpec
from tasks.frames.colour import Encoder, delivery_picture
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track
from tasks.stages.upscale import Upscale
from tasks.worker.item import SourceInput, WorkItem, chunk_name, segment_name

PICTURE = Picture(width=64, height=48)
HOLD = StageSpec(stage="hold")
UPSCALE = StageSpec(stage="upscale")
DOUBLE = StageSpec(stage="interpolate", params={"factor": 2})


def step(stage: str, keep: bool | None = None, **params: Any) -> StageSpec:
    return StageSpec(stage=stage, params=params, keep=keep)


def make_input(
    *,
    frames: Sequence[str],
    first: int = 0,
    start: Fraction = Fraction(0),
    recipe: Sequence[StageSpec] = (),
    steps: Sequence[Fraction] = (Fraction(1, 24),),
    on: int = 1,
    picture: Picture = PICTURE,
    shot: str = "sh010",
) -> ShotInput:
    """A shot whose frames are named by what they show, each staying for `steps` in turn."""
    times = [start]
    for place in range(len(frames)):
        times.append(times[-1] + steps[place % len(steps)])
    return ShotInput(
        shot=Shot(id=shot, source=0, start=first, end=first + len(frames)),
        track=Track(
            picture=picture,
            times=tuple(times[:-1]),
            end=times[-1],
            rate=1 / steps[0] if len(steps) == 1 else None,
            first=first,
            drawing=tuple(place - place % on for place in range(len(frames))),
        ),
        source=SourceInput(path="film.mkv", digest="d", index_name="probes/d.json", first=first),
        recipe=tuple(recipe),
        assets={},
        material=lambda indices: [frames[index] for index in indices],
    )


def make_film(shots: Sequence[Sequence[str]], **more: Any) -> list[ShotInput]:
    """Shots one after the other in one film."""
    inputs: list[ShotInput] = []
    for number, frames in enumerate(shots):
        last = inputs[-1] if inputs else None
        inputs.append(
            make_input(
                frames=frames,
                first=last.shot.end if last else 0,
                start=last.track.end if last else Fraction(0),
                shot=shot_name(number),
                **more,
            )
        )
    return inputs


def plan(
    inputs: Sequence[ShotInput],
    *,
    chunk: int = 8,
    device: str = "cpu",
    encoder: Encoder = "ffv1",
    pix_fmt: str | None = None,
) -> RenderPlan:
    return plan_render(
        inputs,
        episode="ep01",
        run="now",
        chunk=chunk,
        device=device,
        delivery=partial(delivery_picture, pix_fmt=pix_fmt, encoder=encoder),
        encode=EncodeSpec(encoder=encoder),
    )


def test_where_work_is_made_is_in_no_key_and_divides_no_run() -> None:
    needs = NeedsSpec(tag=("a6000",))
    placed = [HOLD, UPSCALE.model_copy(update={"needs": NeedsSpec(memory=1 << 30)}), DOUBLE]
    (plain,) = plan(make_film(["abc" * 9], recipe=[HOLD, UPSCALE, DOUBLE])).shots
    inputs = make_film(["abc" * 9], recipe=placed)
    (other,) = plan([replace(each, needs=needs.settled()) for each in inputs]).shots
    assert keys(other) == keys(plain)
    assert plain.segment
    assert other.segment
    assert other.segment.key == plain.segment.key
    by_run = [(run.needs.tags, run.needs.memory_bytes) for run in other.runs]
    assert by_run == [(("a6000",), 1 << 30 if "upscale" in run.name else 0) for run in other.runs]


def keys(shot: ShotPlan) -> list[Key]:
    return [item.key for item in shot.items()] + ([shot.segment.key] if shot.segment else [])


def run_keys(made: RenderPlan, run: int) -> set[Key]:
    """Keys of the first shot's chunks after a run."""
    return {item.key for item in made.shots[0].runs[run].items}


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


KEEP = st.sampled_from([None, True, False])
STEPS = st.one_of(
    st.builds(step, st.just("hold"), KEEP),
    st.builds(step, st.just("upscale"), KEEP),
    st.builds(step, st.just("interpolate"), KEEP, factor=st.sampled_from([2, 3, "5/2", "1/2"])),
    st.builds(step, st.just("interpolate"), KEEP, rate=st.sampled_from([30, "24000/1001"])),
)
"""Any stage that can follow any other."""
RECIPES = st.lists(STEPS, max_size=3).filter(lambda r: [s.stage for s in r].count("upscale") < 3)
VARYING = (Fraction(1, 24), Fraction(1, 12), Fraction(1, 48), Fraction(1, 4))


@st.composite
def films(draw: st.DrawFn, recipes: st.SearchStrategy[Any] = RECIPES) -> list[ShotInput]:
    """One to three shots with one recipe, frames on ones to threes, constant or varying."""
    counts = draw(st.lists(st.integers(1, 20), min_size=1, max_size=3))
    return make_film(
        [names(chr(97 + shot), count) for shot, count in enumerate(counts)],
        recipe=draw(recipes),
        on=draw(st.integers(1, 3)),
        steps=draw(st.sampled_from([(Fraction(1, 24),), (Fraction(1001, 24000),), VARYING])),
    )


def planned(film: Sequence[ShotInput], chunk: int) -> RenderPlan:
    """The plan of a film that has a frame left."""
    try:
        return plan(film, chunk=chunk)
    except UsageError as error:
        assume("leaves no frame" not in str(error))
        raise


@given(films(), st.integers(1, 30))
def test_chunks_partition_every_shot_and_shots_the_film(film: list[ShotInput], chunk: int) -> None:
    made = planned(film, chunk)
    for shot in made.shots:
        for run in shot.runs:
            covered = [index for item in run.items for index in item.out.indices()]
            assert covered == list(range(len(run.track)))
            assert all(len(item.out) <= chunk for item in run.items)
    assert len(made.times) == sum(shot.segment.frames for shot in made.shots if shot.segment)
    assert list(made.times) == sorted(set(made.times))


@given(films(), st.integers(1, 12))
def test_planning_what_was_just_rendered_is_empty(film: list[ShotInput], chunk: int) -> None:
    made = planned(film, chunk)
    again = planned(film, chunk).with_stored(set(made.names()))
    assert again.counts() == (made.counts()[0], 0)
    assert all(again.is_done(shot) for shot in again.shots)
    assert again.names() == made.names()


@given(films(), st.integers(1, 12), st.randoms(use_true_random=False))
def test_from_anything_stored_only_what_is_missing_and_needed_is_made(
    film: list[ShotInput], chunk: int, random: Any
) -> None:
    made = planned(film, chunk)
    stored = {name for name in made.names() if random.random() < 0.5}
    halfway = made.with_stored(stored)
    for shot in halfway.shots:
        todo = halfway.todo(shot)
        if halfway.is_done(shot):
            assert todo == ()
            continue
        asked = {key for item in todo for key in read_by(item)}
        last = {item.key for item in shot.runs[-1].items}
        for place, item in enumerate(todo):
            assert chunk_name(item.key) not in stored
            assert item.key in asked | last
            before = {chunk_name(earlier.key) for earlier in todo[:place]}
            assert {chunk_name(key) for key in read_by(item)} <= before | stored
        done = stored | {chunk_name(item.key) for item in todo}
        assert {chunk_name(key) for key in last} <= done


def read_by(item: WorkItem) -> list[Key]:
    return [key for key, _ in item.chunks.chunks] if item.chunks else []


@given(films(), st.integers(1, 12), st.data())
def test_a_changed_frame_changes_exactly_the_chunks_that_read_it(
    film: list[ShotInput], chunk: int, data: st.DataObject
) -> None:
    made = planned(film, chunk)
    number = data.draw(st.integers(0, len(film) - 1))
    frame = data.draw(st.integers(0, len(film[number].track) - 1))
    changed = list(film)
    changed[number] = replace(
        film[number], material=lambda indices: [f"new {i}" if i == frame else i for i in indices]
    )
    same = list(film)
    same[number] = replace(film[number], material=lambda indices: list(indices))
    before, after = plan(same, chunk=chunk), plan(changed, chunk=chunk)
    for place, (was, now) in enumerate(zip(before.shots, after.shots, strict=True)):
        if place != number:
            assert keys(was) == keys(now)
            continue
        touched = [reads_frame(was, item, frame) for item in was.items()]
        pairs = zip(was.items(), now.items(), strict=True)
        assert [one.key != two.key for one, two in pairs] == touched
    assert made.shots[number].runs[0].name == before.shots[number].runs[0].name


def reads_frame(shot: ShotPlan, item: WorkItem, frame: int) -> bool:
    """Whether source frame `frame` of the shot goes into a chunk, by the stages' own words."""
    tracks = [item.track]
    stages = [call.make() for call in item.calls]
    for stage in stages:
        tracks.append(stage.track_after(tracks[-1]))
    span = item.out
    for stage, track in zip(reversed(stages), reversed(tracks[:-1]), strict=True):
        needed = stage.needs(span, track)
        span = Span(min(needed), max(needed) + 1)
    if item.chunks is None:
        return span.start <= frame < span.end
    by_key = {one.key: one for one in shot.items()}
    read = [by_key[key] for key in read_by(item)]
    assert {i for one in read for i in one.out.indices()} >= set(span.indices())
    assert all(one.out.start < span.end and span.start < one.out.end for one in read)
    return any(reads_frame(shot, one, frame) for one in read)


STAY = st.lists(
    st.one_of(
        st.builds(step, st.just("hold"), KEEP),
        st.builds(step, st.just("upscale"), KEEP),
        st.builds(step, st.just("interpolate"), KEEP, factor=st.sampled_from([2, 3])),
    ),
    max_size=3,
).filter(lambda r: [s.stage for s in r].count("upscale") < 3)


@given(STAY, st.integers(1, 20), st.integers(1, 20), st.sampled_from([(Fraction(1, 24),), VARYING]))
def test_moving_a_shot_in_the_film_changes_none_of_its_keys(
    recipe: list[StageSpec], count: int, before: int, steps: tuple[Fraction, ...]
) -> None:
    moving, other = names("a", count), names("b", before)
    one = plan(make_film([moving, other], recipe=recipe, steps=steps))
    two = plan(make_film([other, moving], recipe=recipe, steps=steps))
    chunks = [[item.key for item in shot.items()] for shot in (*one.shots, *two.shots)]
    assert chunks[0] == chunks[3]
    assert chunks[1] == chunks[2]


def test_moving_a_shot_by_whole_frames_of_the_new_rate_changes_none_of_its_keys() -> None:
    recipe = [step("interpolate", rate=60)]
    alone = plan(make_film([names("a", 30)], recipe=recipe))
    after_a_second = plan(make_film([names("b", 24), names("a", 30)], recipe=recipe))
    assert keys(alone.shots[0]) == keys(after_a_second.shots[1])
    off_the_grid = plan(make_film([names("b", 23), names("a", 30)], recipe=recipe))
    assert not set(keys(alone.shots[0])) & set(keys(off_the_grid.shots[1]))


def test_keys_do_not_follow_the_order_of_parameters() -> None:
    params: dict[str, Any] = {"factor": 2, "engine": "average"}
    backwards = dict(reversed(params.items()))
    one, two = (
        plan(make_film([names("a", 9)], recipe=[StageSpec(stage="interpolate", params=given_as)]))
        for given_as in (params, backwards)
    )
    assert one.names() == two.names()


def test_a_parameter_left_out_and_its_default_have_one_key() -> None:
    written = step("interpolate", factor=2, engine="network", timing="smooth")
    assert (
        plan(make_film([names("a", 9)], recipe=[DOUBLE])).names()
        == plan(make_film([names("a", 9)], recipe=[written])).names()
    )


@pytest.mark.parametrize(
    ("recipe", "changed"),
    [
        ([DOUBLE], [step("interpolate", factor=3)]),
        ([DOUBLE], [step("interpolate", factor=2, engine="average")]),
        ([DOUBLE, UPSCALE], [UPSCALE, DOUBLE]),
        ([], [HOLD]),
    ],
)
def test_another_recipe_has_other_keys(recipe: list[Any], changed: list[Any]) -> None:
    one, two = (plan(make_film([names("a", 9)], recipe=steps)) for steps in (recipe, changed))
    assert not set(one.names()) & set(two.names())


def test_a_new_version_of_a_stage_has_other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    film = make_film([names("a", 9)], recipe=[DOUBLE, UPSCALE])
    old = plan(film)
    monkeypatch.setattr(Upscale, "version", 1000)
    new = plan(film)
    assert [i.key for i in old.shots[0].runs[0].items] == [
        i.key for i in new.shots[0].runs[0].items
    ]
    assert not {i.key for i in old.shots[0].runs[1].items} & {
        i.key for i in new.shots[0].runs[1].items
    }


def test_another_device_makes_other_keys_only_of_networks() -> None:
    classical = step("interpolate", factor=2, engine="dis")
    film = make_film([names("a", 9)], recipe=[classical, UPSCALE])
    cpu, cuda = plan(film), plan(film, device="cuda")
    assert run_keys(cpu, 0) == run_keys(cuda, 0)
    assert not run_keys(cpu, 1) & run_keys(cuda, 1)


def test_a_run_ends_where_frames_are_kept_and_at_the_end() -> None:
    def runs(*recipe: StageSpec) -> list[str]:
        return [run.name for run in plan(make_film([names("a", 9)], recipe=recipe)).shots[0].runs]

    assert runs() == ["decode"]
    assert runs(HOLD, DOUBLE, UPSCALE) == ["hold+interpolate", "upscale"]
    assert runs(HOLD, step("interpolate", False, factor=2), UPSCALE) == ["hold+interpolate+upscale"]
    assert runs(step("hold", True), UPSCALE) == ["hold", "upscale"]


def test_shots_of_different_size_are_refused_with_both_names() -> None:
    film = make_film([names("a", 5), names("b", 5)], recipe=[UPSCALE])
    film[1] = replace(film[1], recipe=())
    with pytest.raises(UsageError, match=r"sh020 comes out 64x48, sh010 128x96: one film has one"):
        plan(film)


def in_colours(*pictures: Picture) -> list[ShotInput]:
    """A film of as many shots, each of a picture."""
    film = make_film([names(chr(97 + place), 5) for place in range(len(pictures))])
    return [
        replace(entry, track=replace(entry.track, picture=picture))
        for entry, picture in zip(film, pictures, strict=True)
    ]


def test_shots_of_different_colour_space_are_refused_with_both_names() -> None:
    pq = replace(PICTURE, primaries="bt2020", transfer="smpte2084")
    sdr = replace(PICTURE, primaries="bt709", transfer="bt709")
    with pytest.raises(UsageError, match=r"sh030 has primaries bt2020, sh020 bt709: one film has"):
        plan(in_colours(PICTURE, sdr, pq))
    with pytest.raises(UsageError, match=r"sh020 has transfer smpte2084, sh010 bt709"):
        plan(in_colours(sdr, replace(pq, primaries="bt709")))


def test_a_film_has_the_depth_of_its_deepest_shot() -> None:
    deep = replace(PICTURE, depth=10, pix_fmt="yuv420p10le", range="full", matrix="bt601")
    for film in (in_colours(PICTURE, deep), in_colours(deep, PICTURE)):
        assert plan(film).picture.depth == 10


def test_an_unknown_parameter_is_refused_with_its_shot() -> None:
    with pytest.raises(UsageError, match=r"ep01/sh010.*did you mean 'factor'"):
        plan(make_film([names("a", 5)], recipe=[step("interpolate", factr=2)]))


def test_a_shot_that_a_lower_rate_leaves_empty_is_nothing_to_do() -> None:
    film = make_film([names("a", 25), ["b0"], names("c", 24)], recipe=[step("interpolate", rate=1)])
    made = plan(film)
    assert [len(shot.track) for shot in made.shots] == [2, 0, 1]
    assert made.times == (0, 1, 2)
    empty = made.shots[1]
    assert empty.segment is None
    assert made.is_done(empty)
    assert len(made.names()) == 4, "two chunks, two segments"


def test_a_recipe_that_leaves_no_frame_is_refused() -> None:
    late = [make_input(frames=["a0"], start=Fraction(1, 2), recipe=[step("interpolate", rate=1)])]
    with pytest.raises(UsageError, match="leaves no frame"):
        plan(late)


def test_planning_loads_neither_torch_nor_ray(tiny_film: Path, own_home: Path) -> None:
    program = f"""
import json, sys
from flows.plan.prepare import prepare
from flows.progress import Silent
from flows.spec.request import make_request
stages = ["hold", "interpolate:factor=2", "upscale"]
prepared = prepare(make_request({str(tiny_film)!r}, stages=stages), Silent())
heavy = [name for name in ("torch", "ray", "prefect") if name in sys.modules]
print(json.dumps([prepared.plan.counts(), heavy]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts, heavy = json.loads(done.stdout)
    assert counts[0] == counts[1] > 0
    assert heavy == []


def test_what_goes_into_the_film_is_stored_as_its_planes() -> None:
    film = make_film([names("a", 9)], recipe=(step("interpolate", True, factor=2), UPSCALE))
    deep = plan(film, encoder="libx265", pix_fmt="yuv420p10le")
    both = plan(film, encoder="libsvtav1", pix_fmt="yuv420p10le"), plan(film, pix_fmt="yuv420p")
    for made in (deep, *both):
        first, last = made.shots[0].runs
        assert all(item.delivered is None for item in first.items)
        assert all(item.delivered == made.picture for item in last.items)
    same, other = both
    assert run_keys(deep, 1) == run_keys(same, 1)
    assert not run_keys(deep, 1) & run_keys(other, 1)
    assert run_keys(deep, 0) == run_keys(other, 0)


def test_a_last_stage_whose_frames_are_kept_keeps_their_codes() -> None:
    film = make_film([names("a", 9)], recipe=(step("upscale", True),))
    made = [plan(film, pix_fmt=pix_fmt) for pix_fmt in ("yuv420p", "yuv444p10le")]
    assert run_keys(made[0], 0) == run_keys(made[1], 0)
    assert all(item.delivered is None for each in made for item in each.shots[0].items())
    segments = [shot.segment for each in made for shot in each.shots]
    assert len({segment.key for segment in segments if segment}) == 2


def test_codes_that_an_earlier_douga_stored_are_made_planes_of() -> None:
    film = make_film([names("a", 20)], recipe=(step("interpolate", True, factor=2), UPSCALE))
    made = plan(film)
    codes = {chunk_name(i.codes): i for i in made.shots[0].runs[-1].items if i.codes}
    assert set(codes) <= set(made.objects())
    old = made.with_stored(set(codes))
    todo = old.todo(made.shots[0])
    assert {item.key for item in todo} == {item.key for item in codes.values()}
    assert all(item.have == ((item.codes, item.out),) for item in todo)
    assert {chunk_name(old.key_of(item)) for item in codes.values()} == set(codes)
    new = made.with_stored({*codes, *made.names()})
    assert [new.key_of(item) for item in codes.values()] == [i.key for i in codes.values()]


def test_segments_follow_their_chunks_and_encoder() -> None:
    film = make_film([names("a", 9), names("b", 9)])
    first = plan(film)
    renamed = plan([film[0], replace(film[1], material=lambda indices: ["x" for _ in indices])])
    kept, other = (
        [segment_name(shot.segment.key) for shot in made.shots if shot.segment]
        for made in (first, renamed)
    )
    assert kept[0] == other[0]
    assert kept[1] != other[1]
