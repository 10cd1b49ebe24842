"""Timelines: an edit becomes the source frames it shows; what cannot be rendered is refused."""

from fractions import Fraction
from pathlib import Path

import opentimelineio as otio
import pytest

from cluster.errors import UsageError
from cluster.keys import Digest
from flows.timeline import shots_from_timeline
from tasks.decode import SourceIndex
from tasks.picture import Picture

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
    shots = shots_from_timeline(path, sources=sources)
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


def test_shot_names_of_the_edit_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path, clip("SH0050", 0, 5), clip("sh0040", 5, 5))
    assert [name for name, *_ in ranges(path, A)] == ["sh0050", "sh0040"]
    twice = write(tmp_path, clip("SH0050", 0, 5), clip("sh0050", 5, 5))
    assert [name for name, *_ in ranges(twice, A)] == ["sh010", "sh020"]


GAP = otio.schema.Gap(duration=otio.opentime.RationalTime(5, 24))
RETIMED = clip("fast", 0, 5)
RETIMED.effects.append(otio.schema.LinearTimeWarp(time_scalar=2.0))
NESTED = otio.schema.Stack(children=[clip("inner", 0, 5)])
FADE = otio.schema.Transition(
    in_offset=otio.opentime.RationalTime(1, 24), out_offset=otio.opentime.RationalTime(1, 24)
)


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([clip("a", 0, 5), GAP], "gap"),
        ([RETIMED], "fast at 0.000 s: retimed"),
        ([NESTED], "nested Stack"),
        ([clip("a", 0, 5), FADE, clip("b", 5, 5)], "transitions are not rendered"),
        ([clip("long", 90, 20)], r"long: asks for frames \[90, 110\) of /films/a.mkv"),
        ([], "holds no clip"),
    ],
)
def test_what_cannot_be_rendered_is_refused(
    tmp_path: Path, items: list[otio.core.Composable], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        ranges(write(tmp_path, *items), A)


def test_several_video_tracks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 video tracks"):
        ranges(write(tmp_path, clip("a", 0, 5), tracks=2), A)


def test_a_clip_of_no_source_is_refused_with_the_sources(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"clip x: none of .* sources are a.mkv, b.mkv"):
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


def test_an_edl_with_a_speed_change_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "cut.edl"
    path.write_text(EDL + "M2   A       048.0                00:00:03:00\n")
    with pytest.raises(UsageError, match=r"cut.edl:6: retimes reel A"):
        ranges(path, A, B)
