"""An index lists exactly the frames that a decode from start to end shows, with exact times."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from cluster.errors import InputError, UsageError
from tasks.decode import SourceIndex, index_source
from tasks.encode.ffmpeg import run_ffmpeg
from tests.conftest import ROOT

NTSC = Fraction(24000, 1001)
DATA = ROOT.parent / "shared/data/bbb"
COUNTED = ("mpeg2.mpg", "mpeg4.avi", "h264.avi", "raw.h264")
VARIABLE = ("vfr.mkv", "vfr.mp4", "held.gif")
SHIFTED = {"edit.mp4": 26, "edit-open.mp4": 34, "edit-hevc.mp4": 36}
"""Number carried by the first frame that each edit list shows."""


def test_index_lists_what_a_linear_decode_shows(clips: Any, name: str) -> None:
    index = index_source(str(clips(name)))
    linear = clips.linear(name)
    assert len(index) == len(linear.pts)
    if name not in COUNTED:
        assert list(index.pts) == linear.pts


def test_index_survives_json(clips: Any, name: str) -> None:
    index = index_source(str(clips(name)))
    again = SourceIndex.from_json(index.to_json())
    assert again == index
    assert again.times == index.times


def test_times_ascend_and_end_after_the_last(clips: Any, name: str) -> None:
    index = index_source(str(clips(name)))
    assert all(a < b for a, b in pairwise((*index.times, index.end)))


def test_constant_rate_is_recognised_exactly(clips: Any, name: str) -> None:
    index = index_source(str(clips(name)))
    if name in VARIABLE:
        assert index.rate is None
        assert index.is_vfr()
    else:
        assert index.rate == (10 if name.startswith("even") else NTSC)
        assert index.end == index.times[0] + len(index) / index.rate
        assert not index.is_vfr()


def test_recognised_times_round_to_the_containers(clips: Any, name: str) -> None:
    index = index_source(str(clips(name)))
    for time, ticks in zip(index.times, index.pts, strict=True):
        # Half a tick, or half a millisecond where an edit list cut Matroska's own milliseconds.
        assert abs(time - ticks * index.time_base) <= max(index.time_base, Fraction(1, 1000))


@pytest.mark.parametrize("clip", SHIFTED)
def test_edit_list_hides_the_frames_before_it(clips: Any, clip: str) -> None:
    linear = clips.linear(clip)
    assert clips.number_in(linear.planes[0][0]) == SHIFTED[clip]
    assert len(index_source(str(clips(clip)))) == 60 - SHIFTED[clip]


@pytest.mark.parametrize("clip", ["cut-open.ts", "cut-hevc.ts", "edit-hevc.mp4"])
def test_leading_pictures_without_their_references_are_left_out_and_noted(
    clips: Any, clip: str
) -> None:
    index = index_source(str(clips(clip)))
    assert any("leading frames left out" in note for note in index.guessed)


def test_edit_list_hides_the_frames_after_it(clips: Any) -> None:
    index = index_source(str(clips("trimmed.mp4")))
    assert (len(index), index.end) == (30, 30 / NTSC)


def test_hidden_frames_are_no_frames(clips: Any) -> None:
    path = clips("hidden.webm")
    with av.open(str(path)) as container:
        packets = sum(packet.size > 0 for packet in container.demux(video=0))
    index = index_source(str(path))
    assert packets > len(index) == 60
    assert index.kind == "stream"


def test_variable_rate_keeps_its_exact_times(clips: Any) -> None:
    kept = [n for n in range(60) if n % 5 != 3]
    index = index_source(str(clips("vfr.mp4")))
    assert index.times == tuple(n / NTSC for n in kept)
    assert index.end == 60 / NTSC


def test_gif_shows_its_last_picture_as_long_as_it_says(clips: Any) -> None:
    index = index_source(str(clips("held.gif")))
    assert index.time_base == Fraction(1, 100)
    assert index.end - index.times[-1] == 1
    assert {b - a for a, b in pairwise(index.times)} <= {Fraction(n, 100) for n in (4, 5, 8, 9)}
    assert "alpha dropped" in index.guessed


def test_transport_stream_keeps_its_own_clock(clips: Any) -> None:
    index = index_source(str(clips("open.ts")))
    assert index.times[0] == index.pts[0] * Fraction(1, 90000)
    assert index.times[0] > 1
    assert abs(index.container_start - index.times[0]) < Fraction(1, 1000)


def test_untimed_stream_is_counted_at_its_declared_rate_or_the_one_given(clips: Any) -> None:
    declared = index_source(str(clips("raw.h264")))
    assert declared.kind == "counted"
    assert declared.rate == NTSC
    assert any("no timestamps" in note for note in declared.guessed)
    given = index_source(str(clips("raw.h264")), fps=Fraction(25))
    assert given.times[-1] == Fraction(59, 25)


def test_fps_for_a_film_with_timestamps_is_refused(clips: Any) -> None:
    with pytest.raises(UsageError, match="timestamps of its own"):
        index_source(str(clips("closed.mp4")), fps=Fraction(25))


def test_digest_is_the_files_own(clips: Any, tmp_path: Path) -> None:
    path = clips("closed.mp4")
    copy = tmp_path / "other.mp4"
    copy.write_bytes(path.read_bytes())
    assert index_source(str(copy)).digest == index_source(str(path)).digest
    with copy.open("ab") as file:
        file.write(b"\0" * 8)
    assert index_source(str(copy)).digest != index_source(str(path)).digest


def test_streams_and_chapters_are_listed(clips: Any, tmp_path: Path) -> None:
    script = tmp_path / "subs.ass"
    run_ffmpeg(["-f", "lavfi", "-i", "sine=d=0.1", str(tmp_path / "a.wav")])
    script.write_text(
        "[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"
        "Dialogue: 0,0:00:00.50,0:00:01.00,Default,hello\n"
    )
    font = tmp_path / "Font.ttf"
    font.write_bytes(b"not really a font")
    chapters = tmp_path / "chapters.txt"
    chapters.write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1001\ntitle=Opening\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=1001\nEND=2000\ntitle=Part A\n"
    )
    film = tmp_path / "rich.mkv"
    run_ffmpeg(
        [
            *("-i", str(clips("closed.mkv")), "-i", str(tmp_path / "a.wav"), "-i", str(script)),
            *("-i", str(chapters), "-map", "0:v", "-map", "1:a", "-map", "2:s", "-c:v", "copy"),
            *("-c:a", "flac", "-c:s", "copy", "-map_metadata", "3", "-attach", str(font)),
            *("-metadata:s:t", "mimetype=font/ttf", "-metadata:s:a", "language=jpn"),
            *("-metadata:s:s", "title=Signs", "-disposition:s:0", "forced", str(film)),
        ]
    )
    index = index_source(str(film))
    video, audio, subtitle, attachment = index.streams
    assert (video.kind, video.codec) == ("video", "h264")
    assert (audio.codec, audio.language, audio.sample_rate, audio.channels) == (
        ("flac", "jpn", 44100, 1)
    )
    assert (subtitle.codec, subtitle.title, subtitle.forced) == ("ass", "Signs", True)
    assert (attachment.kind, attachment.filename) == ("attachment", "Font.ttf")
    assert attachment.mimetype == "font/ttf"
    assert [chapter.title for chapter in index.chapters] == ["Opening", "Part A"]
    assert index.chapters[1].start == Fraction(1001, 1000)


def test_cover_picture_is_not_the_film(clips: Any, tmp_path: Path) -> None:
    cover, film = tmp_path / "cover.png", tmp_path / "film.mp4"
    run_ffmpeg(["-f", "lavfi", "-i", "color=red:s=300x300", "-frames:v", "1", str(cover)])
    run_ffmpeg(
        [
            *("-i", str(cover), "-i", str(clips("closed.mp4")), "-map", "0", "-map", "1:v"),
            *("-c", "copy", "-disposition:v:0", "attached_pic", str(film)),
        ]
    )
    index = index_source(str(film))
    assert (index.picture.width, len(index)) == (96, 60)


def test_missing_frames_in_a_constant_film_are_noted(clips: Any, tmp_path: Path) -> None:
    film = clips.make(
        tmp_path / "gap.mkv",
        ["-vf", "select=not(eq(n\\,30))", "-fps_mode", "vfr", "-c:v", "ffv1"],
    )
    index = index_source(str(film))
    assert index.rate is None
    assert any("1 frame missing" in note for note in index.guessed)


@pytest.mark.parametrize(
    ("clip", "frames", "rate"),
    [("bbb_480p_30s.mp4", None, None), ("bbb_720p_30s.webm", None, None)],
)
def test_real_film_is_indexed_as_decoded(clip: str, frames: int | None, rate: Any) -> None:
    film = DATA / clip
    if not film.exists():
        pytest.skip("shared footage (../shared/data/bbb) is not here")
    index = index_source(str(film))
    assert index.rate in (24, 25, 30, NTSC)
    assert len(index) == round((index.end - index.times[0]) * index.rate)


def test_index_of_another_version_is_refused(clips: Any) -> None:
    text = index_source(str(clips("closed.mp4"))).to_json()
    with pytest.raises(InputError, match="another version"):
        SourceIndex.from_json(text.replace('"version":1', '"version":0', 1))
    with pytest.raises(InputError, match="not a source index"):
        SourceIndex.from_json("[]")
