"""Times that a file has stay as they are; those that it lacks lie between their neighbours."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.decode import FrameReader, index_source
from tasks.decode.mend_times import mend_times
from tasks.encode.ffmpeg import run_ffmpeg

MS = Fraction(1, 1000)


def mended(*ticks: int | None) -> list[Fraction]:
    found = mend_times(ticks, time_base=MS, rate=Fraction(25))
    assert found is not None
    return [tick * found.time_base * 1000 for tick in found.pts]


def test_good_times_stay() -> None:
    found = mend_times((5, 45, 90, 91), time_base=MS, rate=Fraction(25))
    assert found is not None
    assert (found.pts, found.time_base, len(found.kept)) == ((5, 45, 90, 91), MS, 4)


def test_a_doubled_one_goes_between_its_neighbours() -> None:
    assert mended(0, 84, 84, 252) == [0, 84, 168, 252]


def test_missing_ones_lie_evenly() -> None:
    assert mended(0, None, None, 90, None, 100) == [0, 30, 60, 90, 95, 100]


def test_a_wild_one_is_not_believed_and_stops_no_other() -> None:
    assert mended(0, 40, 9_000_000, 120, 160) == [0, 40, 80, 120, 160]
    assert mended(0, 40, -7, 120, 160) == [0, 40, 80, 120, 160]


def test_the_first_and_last_follow_at_the_usual_step() -> None:
    assert mended(None, 40, 80, 120, None) == [0, 40, 80, 120, 160]
    assert mended(None, 80, None) == [40, 80, 120], "at the rate, for want of a step"


def test_no_times_at_all_are_none() -> None:
    assert mend_times((None, None), time_base=MS, rate=Fraction(25)) is None


@given(st.lists(st.none() | st.integers(-50, 50), min_size=1, max_size=24))
def test_mended_times_ascend_and_keep_what_was_kept(ticks: list[int | None]) -> None:
    found = mend_times(ticks, time_base=MS, rate=Fraction(25))
    if found is None:
        assert set(ticks) == {None}
        return
    times = [tick * found.time_base for tick in found.pts]
    assert len(times) == len(ticks)
    assert all(a < b for a, b in pairwise(times))
    same = [a is not None and b == a * MS for a, b in zip(ticks, times, strict=True)]
    assert sum(same) >= len(found.kept)


def picture_numbers(path: Path, count: int) -> None:
    """Every frame of a film can be read, in whatever order."""
    with FrameReader(index_source(str(path))) as reader:
        last, first = reader.read([count - 1]), reader.read([0])
    assert last.shape == first.shape
    assert not np.array_equal(last, first)


def test_one_doubled_timestamp_leaves_the_others_alone(tmp_path: Path) -> None:
    """24 frames at 42 ms and 24 at 84 ms; number 30 has the time of number 29."""
    times = "if(lt(N,24),N*42,1008+(N-24)*84)-eq(N,30)*84"
    even, double = tmp_path / "even.mkv", tmp_path / "double.mkv"
    source = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=24:duration=2", "-pix_fmt", "yuv420p"]
    run_ffmpeg([*source, "-c:v", "libx264", "-bf", "0", str(even)])
    shift = f"setts=pts='{times}':dts='{times}':time_base=1/1000"
    run_ffmpeg(["-i", str(even), "-c", "copy", "-bsf:v", shift, str(double)])
    index = index_source(str(double))
    expected = [k * 42 if k < 24 else 1008 + (k - 24) * 84 for k in range(48)]
    assert [time * 1000 for time in index.times] == expected
    assert any("1 of 48 timestamps" in note for note in index.guessed)
    picture_numbers(double, 48)


def test_a_program_stream_keeps_its_clock(tmp_path: Path) -> None:
    """Several small pictures lie in a pack, and few have a timestamp of their own."""
    film = tmp_path / "pal.vob"
    source = ["-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=3", "-f", "lavfi", "-i"]
    coded = ["-pix_fmt", "yuv420p", "-c:v", "mpeg2video", "-bf", "0", "-q:v", "20", "-c:a", "ac3"]
    run_ffmpeg([*source, "sine=duration=3", *coded, "-f", "vob", str(film)])
    index = index_source(str(film))
    sound = next(stream for stream in index.streams if stream.kind == "audio")
    assert (index.rate, len(index)) == (25, 75)
    assert sound.start is not None
    assert abs(index.times[0] - sound.start) < Fraction(1, 50), "they begin together in the file"
    assert any("have no timestamp: timed by" in note for note in index.guessed)
    picture_numbers(film, 75)


@pytest.mark.parametrize("dropped", [(5,), (5, 6, 20)])
def test_dropped_frames_of_an_avi_hold_the_one_before(
    dropped: tuple[int, ...], tmp_path: Path
) -> None:
    """An AVI says that a frame is shown once more by an empty chunk in its place."""
    film = tmp_path / "capture.avi"
    source = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=2"]
    gone = "+".join(f"eq(n,{number})" for number in dropped)
    drop = ["-vf", f"select='not({gone})'", "-fps_mode", "passthrough"]
    run_ffmpeg([*source, *drop, "-c:v", "mpeg4", "-q:v", "2", str(film)])
    index = index_source(str(film))
    assert len(index) == 50 - len(dropped)
    assert list(index.times) == [Fraction(k, 25) for k in range(50) if k not in dropped]
    picture_numbers(film, len(index))


HELD = ["-vf", "select='not(mod(n,3))',fps=24"]
DROPPED = ["-vf", "select='not(eq(mod(n,5),3))'", "-fps_mode", "passthrough"]


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("held.ogv", [*HELD, "-c:v", "libtheora", "-q:v", "9"]),
        ("held.nut", [*HELD, "-c:v", "libtheora", "-q:v", "9"]),
        ("held.mkv", [*HELD, "-c:v", "libtheora", "-q:v", "9"]),
        ("still.ogv", ["-vf", "loop=47:1", "-frames:v", "48", "-c:v", "libtheora"]),
        ("lossless.avi", [*DROPPED, "-c:v", "ffvhuff"]),
        ("pictures.avi", [*DROPPED, "-c:v", "mjpeg", "-q:v", "2"]),
    ],
)
def test_a_frame_of_no_bytes_is_the_one_before_for_longer(
    file: str, options: list[str], tmp_path: Path
) -> None:
    """Frames, times and pixels are those of ffmpeg's own command."""
    film = made(tmp_path / file, options)
    index = index_source(str(film))
    expected = as_ffmpeg_decodes(film)
    with FrameReader(index) as reader:
        shown = [(index.times[k], digest(reader, k)) for k in range(len(index))]
        assert shown == expected
        assert digest(reader, len(index) // 2) == expected[len(index) // 2][1]
    longest = max(b - a for a, b in pairwise((*index.times, index.end)))
    assert longest >= Fraction(2, 24) - MS
    if file.endswith(".ogv"):
        assert index.end == 2, "the last one, too"
        assert any("held: the one before each stays" in note for note in index.guessed)


def test_times_of_decoding_put_no_frame_before_another(tmp_path: Path) -> None:
    """An AVI's packets copied to MP4 have times in decoding order: the decoder's order is right."""
    moved = ["-c:v", "mpeg4", "-q:v", "2", "-g", "12", "-bf"]
    film, again = made(tmp_path / "film.avi", [*moved, "2"]), tmp_path / "again.mp4"
    run_ffmpeg(["-i", str(film), "-c", "copy", "-bsf:v", "mpeg4_unpack_bframes", str(again)])
    index = index_source(str(again))
    assert (index.rate, len(index)) == (24, 48)
    assert any("in decoding order" in note for note in index.guessed)
    with FrameReader(index_source(str(film))) as plain, FrameReader(index) as reader:
        assert [digest(reader, k) for k in range(48)] == [digest(plain, k) for k in range(48)]
    ordinary = index_source(str(made(tmp_path / "right.mp4", [*moved, "2"])))
    straight = index_source(str(made(tmp_path / "straight.mp4", [*moved, "0"])))
    assert {ordinary.kind, straight.kind} == {"stream"}, "can be entered anywhere"


def made(film: Path, options: list[str]) -> Path:
    """Two seconds of a test picture that moves."""
    source = ["-f", "lavfi", "-i", "testsrc2=size=96x64:rate=24:duration=2", "-pix_fmt", "yuv420p"]
    run_ffmpeg([*source, *options, str(film)])
    return film


def digest(reader: FrameReader, number: int) -> str:
    """Of a frame's planes."""
    planes = reader.read_planes(number)
    return hashlib.md5(b"".join(plane.tobytes() for plane in planes)).hexdigest()


def as_ffmpeg_decodes(film: Path) -> list[tuple[Fraction, str]]:
    """Time and digest of each frame, by the command of that name."""
    options = ["-fps_mode", "passthrough", "-enc_time_base", "demux", "-f", "framemd5", "-"]
    lines = run_ffmpeg(["-i", str(film), *options]).decode().splitlines()
    base = next(Fraction(line.split()[-1]) for line in lines if line.startswith("#tb"))
    frames = [line.split(",") for line in lines if not line.startswith("#")]
    return [(int(frame[2]) * base, frame[-1].strip()) for frame in frames]
