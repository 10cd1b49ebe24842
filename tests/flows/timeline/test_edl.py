"""CMX3600 lists: events at normal speed are frames one to one; the rest is settled by the line."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from cluster.errors import UsageError
from flows.timeline import conform
from tasks.decode import SourceIndex
from tests.flows.timeline.test_timeline import source

HEAD = "TITLE: CUT\nFCM: NON-DROP FRAME\n\n"
PAL, NTSC = Fraction(25), Fraction(30000, 1001)


A, B = source("/films/a one.mkv", 100), source("/films/b.mkv", 100)


def shots(folder: Path, text: str, *sources: SourceIndex) -> list[tuple[str, int, int]]:
    """What the list's events are: the source's file or black, and its frames."""
    path = folder / "cut.edl"
    path.write_text(text)
    edit = conform(path, sources=sources)
    return [
        (Path(edit.sources[shot.source].path).name, shot.start, shot.end) for shot in edit.shots
    ]


def event(number: int, reel: str, times: str, *, channel: str = "V", kind: str = "C") -> str:
    """A line of the list; `times` are four timecodes without their hours."""
    return f"{number:03d}  {reel:8} {channel:5} {kind:4} " + " ".join(
        f"{hour}:{time}" for hour, time in zip(("00", "00", "01", "01"), times.split(), strict=True)
    )


def test_sources_are_found_by_clip_name_and_by_reel(tmp_path: Path) -> None:
    text = HEAD + "\n".join(
        [
            event(1, "AX", "00:01:00 00:01:12 00:00:00 00:00:12"),
            "* FROM CLIP NAME: a one.mkv",
            "* a remark",
            event(2, "B", "00:02:00 00:02:06 00:00:12 00:00:18"),
        ]
    )
    assert shots(tmp_path, text, A, B) == [("a one.mkv", 24, 36), ("b.mkv", 48, 54)]


def test_a_reel_with_timecode_is_read_in_it(tmp_path: Path) -> None:
    text = HEAD + "001  B        V     C        10:00:01:00 10:00:02:00 01:00:00:00 01:00:01:00\n"
    assert shots(tmp_path, text, replace(B, timecode="10:00:00:12")) == [("b.mkv", 12, 36)]
    with pytest.raises(UsageError, match=r"which has \[0, 100\) from timecode 09:59:00:00 on"):
        shots(tmp_path, text, replace(B, timecode="09:59:00:00"))


def test_holes_in_the_record_and_black_events_are_black(tmp_path: Path) -> None:
    text = HEAD + "\n".join(
        [
            event(1, "B", "00:01:00 00:01:12 00:00:00 00:00:12"),
            event(2, "BL", "00:00:00 00:00:06 00:00:12 00:00:18"),
            event(3, "B", "00:02:00 00:02:12 00:01:00 00:01:12"),
        ]
    )
    black = "(black)"
    assert shots(tmp_path, text, B) == [
        ("b.mkv", 24, 36),
        (black, 0, 6),
        (black, 0, 6),
        ("b.mkv", 48, 60),
    ]


def test_sound_is_left_to_the_source(tmp_path: Path) -> None:
    text = HEAD + "\n".join(
        [
            event(1, "B", "00:01:00 00:01:12 00:00:00 00:00:12", channel="B"),
            event(2, "X", "00:03:00 00:03:12 00:00:00 00:00:12", channel="A2"),
            "M2   X       048.0                00:00:03:00",
            event(3, "X", "00:03:00 00:03:12 00:00:04 00:00:16", channel="AA", kind="D 005"),
            event(4, "B", "00:02:00 00:02:12 00:00:12 00:01:00", channel="AA/V"),
        ]
    )
    assert shots(tmp_path, text, B) == [("b.mkv", 24, 36), ("b.mkv", 48, 60)]


@pytest.mark.parametrize("speed", ["024.0", "23.976", "023.98"])
def test_normal_speed_is_no_retime(tmp_path: Path, speed: str) -> None:
    text = HEAD + event(1, "B", "00:01:00 00:01:12 00:00:00 00:00:12")
    text += f"\nM2   B       {speed}                00:00:01:00\n"
    assert shots(tmp_path, text, B) == [("b.mkv", 24, 36)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("M2   B       048.0      00:00:01:00", r"cut.edl:5: retimes reel B to 48 .*event 001"),
        ("M2   B       -024.0     00:00:01:00", r"cut.edl:5: retimes reel B to -24"),
        ("M2", r"cut.edl:5: retimes reel \?"),
        ("* FREEZE FRAME", r"cut.edl:5: event 001 freezes"),
        (
            event(2, "B", "00:01:12 00:02:00 00:00:12 00:01:00", kind="D 012"),
            r"cut.edl:5: event 002 is a dissolve",
        ),
        (
            event(2, "B", "00:01:12 00:02:00 00:00:12 00:01:00", kind="W001 012"),
            r"cut.edl:5: event 002 is a dissolve or a wipe",
        ),
        (event(2, "B", "00:01;12 00:02;00 00:00;12 00:01;00"), r"cut.edl:5: drop-frame timecode"),
    ],
)
def test_what_is_not_rendered_is_refused_by_line_and_event(
    tmp_path: Path, line: str, words: str
) -> None:
    text = HEAD + event(1, "B", "00:01:00 00:01:12 00:00:00 00:00:12") + "\n" + line + "\n"
    with pytest.raises(UsageError, match=words):
        shots(tmp_path, text, B)


def test_drop_frame_timecode_skips_numbers_and_no_frames(tmp_path: Path) -> None:
    long = source("/films/long.mkv", 20_000, NTSC)
    # A minute of drop-frame timecode is 1798 frames, ten minutes 17982.
    text = "TITLE: CUT\nFCM: DROP FRAME\n" + event(1, "long", "00:59:28 01:00:04 00:00:00 00:00:04")
    assert shots(tmp_path, text, long) == [("long.mkv", 1798, 1802)]
    spelt = HEAD + event(1, "long", "10:00;00 10:00;06 00:00;00 00:00;06")
    assert shots(tmp_path, spelt, long) == [("long.mkv", 17982, 17988)]
    plain = HEAD + event(1, "long", "01:00:00 01:00:04 00:00:00 00:00:04")
    assert shots(tmp_path, plain, long) == [("long.mkv", 1800, 1804)]
    with pytest.raises(UsageError, match="there is no drop-frame timecode 00:01:00;01"):
        shots(tmp_path, spelt.replace("10:00;00", "01:00;01"), long)


def test_a_drop_frame_header_says_nothing_where_no_frames_drop(tmp_path: Path) -> None:
    text = "TITLE: CUT\nFCM: DROP FRAME\n"
    text += event(1, "b", "00:01:00 00:01:12 00:00:00 00:00:12")
    pal = source("/films/b.mkv", 100, PAL)
    assert shots(tmp_path, text, pal) == [("b.mkv", 25, 37)]
