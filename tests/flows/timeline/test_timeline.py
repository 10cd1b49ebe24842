"""Timelines: an edit becomes the source frames it shows; what cannot be rendered is refused."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import opentimelineio as otio
import pytest

from cluster.errors import UsageError
from cluster.keys import Digest
from flows.timeline import conform
from tasks.decode import SourceIndex
from tasks.frames.picture import Picture

NTSC = Fraction(24000, 1001)


def source(path: str, frames: int, rate: Fraction = NTSC) -> SourceIndex:
    """An index of a film that is only named."""
    return SourceIndex(
        path=path,
        kind="stream",
        digest=Digest("0" * 64),
        picture=Picture(width=64, height=48),
        pts=tuple(range(frames)),
        time_base=1 / rate,
        start=Fraction(0),
        end=frames / rate,
        rate=rate,
        coded_format="yuv420p",
    )


A, B = source("/films/a.mkv", 100), source("/films/b.mkv", 50)
EDL = """TITLE: CUT
FCM: NON-DROP FRAME

001  B        V     C        00:00:01:00 00:00:01:12 01:00:00:00 01:00:00:12
002  A        V     C        00:00:03:00 00:00:04:04 01:00:00:12 01:00:01:16
"""


def clip(
    name: str, start: int, count: int, *, url: str = "", media_start: int = 0
) -> otio.schema.Clip:
    """A clip at 23.976 of media that begins at a timecode."""
    rate = 24000 / 1001
    media = otio.schema.ExternalReference(
        target_url=url,
        available_range=otio.opentime.TimeRange(
            otio.opentime.RationalTime(media_start, rate), otio.opentime.RationalTime(200, rate)
        ),
    )
    shown = otio.opentime.TimeRange(
        otio.opentime.RationalTime(media_start + start, rate),
        otio.opentime.RationalTime(count, rate),
    )
    return otio.schema.Clip(name=name, media_reference=media, source_range=shown)


def write(folder: Path, *items: otio.core.Composable, tracks: int = 1) -> Path:
    """A timeline with these items on each of its video tracks."""
    timeline = otio.schema.Timeline("cut")
    for _ in range(tracks):
        track = otio.schema.Track(kind=otio.schema.TrackKind.Video)
        track.extend([item.deepcopy() for item in items])
        timeline.tracks.append(track)
    path = folder / "cut.otio"
    otio.adapters.write_to_file(timeline, str(path), "otio_json")
    return path


def ranges(path: Path, *sources: SourceIndex) -> list[tuple[str, int, int, int]]:
    """What a timeline's shots are."""
    shots = conform(path, sources=sources).shots
    return [(shot.id, shot.source, shot.start, shot.end) for shot in shots]


def test_an_edl_is_read_frame_for_frame_by_reel(tmp_path: Path) -> None:
    path = tmp_path / "cut.edl"
    path.write_text(EDL)
    assert ranges(path, A, B) == [("sh010", 1, 24, 36), ("sh020", 0, 72, 100)]


def test_an_otio_is_read_in_the_medias_own_timecode(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        clip("one", 10, 20, url="file:///films/b.mkv", media_start=86400),
        clip("two", 0, 5, url="a.mkv"),
    )
    assert ranges(path, A, B) == [("sh010", 1, 10, 30), ("sh020", 0, 0, 5)]


def test_media_without_a_range_is_read_in_the_sources_timecode(tmp_path: Path) -> None:
    ours = replace(A, timecode="01:00:00:00")
    late, bare = clip("late", 0, 5), clip("bare", 12, 5)
    late.source_range = otio.opentime.TimeRange(
        otio.opentime.RationalTime(86410, 24000 / 1001), otio.opentime.RationalTime(5, 24)
    )
    for item in (late, bare):
        item.media_reference.available_range = None
    path = write(tmp_path, late, bare)
    assert ranges(path, ours) == [("sh010", 0, 10, 15), ("sh020", 0, 12, 17)]
    with pytest.raises(UsageError, match=r"late .* asks for frames \[86410, 86415\)"):
        ranges(path, A)


def test_shot_names_of_the_edit_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path, clip("SH0050", 0, 5), clip("sh0040", 5, 5))
    assert [name for name, *_ in ranges(path, A)] == ["sh0050", "sh0040"]
    twice = write(tmp_path, clip("SH0050", 0, 5), clip("sh0050", 5, 5))
    assert [name for name, *_ in ranges(twice, A)] == ["sh010", "sh020"]


def gap(count: float) -> otio.schema.Gap:
    """No picture for so many frames."""
    return otio.schema.Gap(duration=otio.opentime.RationalTime(count, 24000 / 1001))


def retimed(count: int, *effects: otio.schema.Effect) -> otio.schema.Clip:
    """A clip of frames 10 on that lasts so long, with these effects."""
    made = clip("fast", 10, count)
    made.effects.extend([effect.deepcopy() for effect in effects])
    return made


def warp(scalar: float) -> otio.schema.LinearTimeWarp:
    """A speed."""
    return otio.schema.LinearTimeWarp(time_scalar=scalar)


def frames(path: Path, *sources: SourceIndex) -> list[list[int]]:
    """The source frames of every shot, none where it is black."""
    edit = conform(path, sources=sources)
    shown = []
    for shot in edit.shots:
        index = edit.sources[shot.source]
        picks = index.picks or range(len(index))
        black = index.kind == "black"
        shown.append([] if black else list(picks[shot.start : shot.end]))
    return shown


NESTED = otio.schema.Stack(children=[clip("inner", 0, 5)])
FADE = otio.schema.Transition(
    in_offset=otio.opentime.RationalTime(1, 24), out_offset=otio.opentime.RationalTime(1, 24)
)


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([retimed(5, warp(-1.0))], "fast at 0.000 s: retimed by -1"),
        ([retimed(5, warp(1.5))], "fast at 0.000 s: retimed by 1.5"),
        ([retimed(5, warp(0.3))], "retimed by 0.3"),
        ([retimed(5, warp(float("nan")))], "retimed by nan"),
        ([retimed(5, warp(2.0), warp(1 / 3))], "retimed by 2/3"),
        ([retimed(5, otio.schema.TimeEffect())], "has an effect"),
        ([retimed(46, warp(2.0))], r"asks for frames \[10, 101\)"),
        ([clip("a", 0, 5), gap(2.5)], r"gap at 0\.209 s: .* whole number of frames"),
        ([clip("a", 0, 5), gap(-3)], "a gap of -3 frames"),
        ([gap(5)], "holds no clip"),
        ([NESTED], "nested Stack"),
        ([clip("a", 0, 5), FADE, clip("b", 5, 5)], "transitions are not rendered"),
        ([clip("long", 90, 20)], r"long at 0.000 s: asks for frames \[90, 110\) of /films/a.mkv"),
        ([], "holds no clip"),
    ],
)
def test_what_cannot_be_rendered_is_refused(
    tmp_path: Path, items: list[otio.core.Composable], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        ranges(write(tmp_path, *items), A)


@pytest.mark.parametrize(
    ("effects", "shown"),
    [
        ([warp(1.0)], [10, 11, 12, 13, 14]),
        ([warp(2.0)], [10, 12, 14, 16, 18]),
        ([warp(3.0)], [10, 13, 16, 19, 22]),
        ([warp(0.5)], [10, 10, 11, 11, 12]),
        ([warp(1 / 3)], [10, 10, 10, 11, 11]),
        ([warp(4.0), warp(0.5)], [10, 12, 14, 16, 18]),
        ([otio.schema.FreezeFrame()], [10, 10, 10, 10, 10]),
    ],
)
def test_a_retime_that_needs_no_rounding_picks_its_frames(
    tmp_path: Path, effects: list[otio.schema.Effect], shown: list[int]
) -> None:
    path = write(tmp_path, clip("a", 0, 2), retimed(5, *effects), clip("b", 2, 2))
    assert frames(path, A) == [[0, 1], shown, [2, 3]]


def test_a_retime_may_end_on_the_last_frame_and_an_effect_may_be_off(tmp_path: Path) -> None:
    assert frames(write(tmp_path, retimed(45, warp(2.0))), A) == [list(range(10, 100, 2))]
    off = warp(2.0)
    off.enabled = False
    assert frames(write(tmp_path, retimed(3, off)), A) == [[10, 11, 12]]


def test_a_gap_is_black_as_long_as_it_is_and_like_what_is_beside_it(tmp_path: Path) -> None:
    small = replace(B, picture=replace(B.picture, width=32))
    path = write(
        tmp_path,
        gap(3),
        gap(0),
        clip("a", 0, 5, url="a.mkv"),
        clip("b", 0, 5, url="b.mkv"),
        gap(7),
    )
    edit = conform(path, sources=[A, small])
    assert [shot.id for shot in edit.shots] == ["gap010", "sh010", "sh020", "gap020"]
    assert [len(shot) for shot in edit.shots] == [3, 5, 5, 7]
    first, last = (edit.sources[edit.shots[k].source] for k in (0, 3))
    assert (first.kind, first.picture.width, first.end) == ("black", 64, 3 / NTSC)
    assert (last.kind, last.picture.width, last.end) == ("black", 32, 7 / NTSC)
    assert len(edit.items) == len(edit.shots)


def test_a_clip_that_is_turned_off_or_generated_black_is_a_gap(tmp_path: Path) -> None:
    off, slug, bars = (clip(name, 0, 4) for name in ("off", "slug", "bars"))
    off.enabled = False
    slug.media_reference = otio.schema.GeneratorReference(generator_kind="black")
    bars.media_reference = otio.schema.GeneratorReference(generator_kind="SMPTEBars")
    assert frames(write(tmp_path, clip("a", 0, 1), off, slug), A) == [[0], [], []]
    with pytest.raises(UsageError, match=r"bars at 0\.042 s: shows generated SMPTEBars"):
        frames(write(tmp_path, clip("a", 0, 1), bars), A)


def test_several_video_tracks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 video tracks"):
        ranges(write(tmp_path, clip("a", 0, 5), tracks=2), A)


def test_a_clip_of_no_source_is_refused_with_the_sources(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"clip x at 0.000 s: none of .* sources are a.mkv, b.mkv"):
        ranges(write(tmp_path, clip("x", 0, 5, url="c.mkv")), A, B)


def test_another_rate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the source runs at 30"):
        ranges(write(tmp_path, clip("x", 0, 5)), source("/a.mkv", 99, Fraction(30)))


@pytest.mark.parametrize("text", ["", "hello", "{}", "TITLE: x\n001  A V C 1 2 3"])
@pytest.mark.parametrize("suffix", [".otio", ".edl"])
def test_what_is_no_timeline_is_one_line(tmp_path: Path, text: str, suffix: str) -> None:
    path = tmp_path / f"cut{suffix}"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        ranges(path, A)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="no such timeline"):
        ranges(tmp_path / "none.otio", A)
