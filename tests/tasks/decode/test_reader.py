"""Any range, in any order, gives the same bits as a decode from start to end."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import InputError
from tasks.decode import FrameReader, SourceIndex, index_source
from tasks.decode.planes import Planes
from tasks.encode.ffmpeg import run_ffmpeg
from tasks.frames.colour import rgb_from_planes
from tests.conftest import ROOT

DATA = ROOT.parent / "shared/data/bbb"
FIRST_NUMBER = {"edit.mp4": 26, "edit-open.mp4": 34, "edit-hevc.mp4": 36}


def same(one: Planes, other: Planes) -> bool:
    """Whether planes are equal, bit for bit."""
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def check(reader: FrameReader, truth: Sequence[Planes], numbers: Sequence[int]) -> None:
    """Reads frames in the order given and compares each with the truth."""
    wrong = [k for k in numbers if not same(reader.read_planes(k), truth[k])]
    assert wrong == []


@pytest.mark.parametrize("threads", [1, 3])
def test_ranges_equal_a_linear_decode(clips: Any, name: str, threads: int) -> None:
    index, truth = index_source(str(clips(name))), clips.linear(name).planes
    ranges = random.Random(name)
    with FrameReader(index, threads=threads) as reader:
        for _ in range(6 if threads == 1 else 3):
            start = ranges.randrange(len(index))
            check(reader, truth, range(start, min(len(index), start + 5)))
        check(reader, truth, [len(index) - 1, 0])


def test_every_frame_alone_equals_a_linear_decode(clips: Any) -> None:
    for clip in ("open.mkv", "hevc.ts", "edit-open.mp4", "cut-open.ts", "refresh.mp4"):
        index, truth = index_source(str(clips(clip))), clips.linear(clip).planes
        with FrameReader(index) as reader:
            check(reader, truth, range(len(index) - 1, -1, -1))


def test_frames_are_the_ones_that_carry_their_numbers(clips: Any) -> None:
    for clip in ("closed.mp4", "open.ts", "hevc.mp4", "hidden.webm", "vp9.webm", *FIRST_NUMBER):
        index = index_source(str(clips(clip)))
        first = FIRST_NUMBER.get(clip, 0)
        with FrameReader(index) as reader:
            seen = [clips.number_in(reader.read_planes(k)[0]) for k in range(len(index))]
        assert seen == list(range(first, 60)), clip


def test_variable_rate_frames_are_the_ones_that_carry_their_numbers(clips: Any) -> None:
    with FrameReader(index_source(str(clips("vfr.mkv")))) as reader:
        seen = [clips.number_in(frame.luma) for frame in reader.iter_frames()]
    assert seen == [n for n in range(60) if n % 5 != 3]


@settings(max_examples=25, derandomize=True)
@given(
    clip=st.sampled_from(["open.ts", "edit-open.mp4", "hevc.ts", "vfr.mp4", "deep.mkv"]),
    places=st.lists(st.floats(0, 0.999), min_size=1, max_size=6),
)
def test_any_sequence_of_reads_equals_a_linear_decode(
    clips: Any, clip: str, places: list[float]
) -> None:
    index, truth = _index(str(clips(clip))), clips.linear(clip).planes
    with FrameReader(index) as reader:
        check(reader, truth, [int(place * len(index)) for place in places])


@cache
def _index(path: str) -> SourceIndex:
    return index_source(path)


def test_read_gives_codes_in_the_order_asked_with_doubles(clips: Any) -> None:
    index, truth = index_source(str(clips("open.mkv"))), clips.linear("open.mkv").planes
    asked = [40, 3, 3, 17, 40, 0]
    with FrameReader(index) as reader:
        frames = reader.read(asked)
        assert reader.read([]).shape == (0, 64, 96, 3)
    assert frames.shape == (6, 64, 96, 3)
    assert frames.dtype == np.uint16
    for frame, number in zip(frames, asked, strict=True):
        assert np.array_equal(frame, rgb_from_planes(truth[number], index.picture))


@pytest.mark.parametrize("clip", ["open.mkv", "hevc.mp4", "open.ts", "prores.mov", "vp9.webm"])
def test_neighbouring_reads_do_not_seek_again(clips: Any, clip: str) -> None:
    index = index_source(str(clips(clip)))
    with FrameReader(index) as reader:
        for start in range(0, len(index), 7):
            reader.read(range(start, min(len(index), start + 7)))
        assert reader.seeks == 1


def test_one_read_decodes_forward_whatever_its_order(clips: Any) -> None:
    with FrameReader(index_source(str(clips("open.mkv")))) as reader:
        reader.read([11, 2, 7, 2, 0])
        assert reader.seeks == 1


@pytest.mark.parametrize("clip", ["open.mkv", "hevc.mp4", "open.ts", "vfr.mp4", "ten.mkv"])
def test_a_read_far_off_starts_at_its_own_key_frame(clips: Any, clip: str) -> None:
    index = index_source(str(clips(clip)))
    with FrameReader(index) as reader:
        for number in (len(index) - 1, 13, len(index) - 1, 13):
            reader.read_planes(number)
        assert reader.seeks == 4


def test_gradual_refresh_is_no_place_to_start(clips: Any) -> None:
    index = index_source(str(clips("refresh.mp4")))
    assert [point.frame for point in index.seek_points] == [0]


def test_open_gop_key_frames_are_places_to_start(clips: Any) -> None:
    index = index_source(str(clips("open.mkv")))
    assert [point.frame for point in index.seek_points] == [0, 12, 24, 36, 48]


def test_iter_frames_gives_native_planes_read_only(clips: Any) -> None:
    with FrameReader(index_source(str(clips("ten.mkv")))) as reader:
        frames = list(reader.iter_frames(5, 8))
    assert [frame.index for frame in frames] == [5, 6, 7]
    luma, *chroma = frames[0].planes
    assert (luma.dtype, luma.shape, chroma[0].shape) == (np.uint16, (64, 96), (64, 48))
    assert 850 < luma.max() < 1024
    with pytest.raises(ValueError, match="read-only"):
        luma[0, 0] = 0


def test_luma_of_rgb_is_weighed(clips: Any) -> None:
    with FrameReader(index_source(str(clips("even.apng")))) as reader:
        frame = next(reader.iter_frames())
    assert frame.luma.dtype == np.uint8
    assert frame.luma.shape == (64, 96)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied_as_ffmpeg_applies_it(clips: Any, tmp_path: Path, degrees: int) -> None:
    film = tmp_path / "turned.mp4"
    run_ffmpeg(
        [
            *("-display_rotation", str(degrees), "-i", str(clips("closed.mp4"))),
            *("-c", "copy", str(film)),
        ]
    )
    index = index_source(str(film))
    expected = (64, 96) if degrees % 180 else (96, 64)
    assert (index.picture.width, index.picture.height) == expected
    raw = run_ffmpeg(["-i", str(film), "-frames:v", "1", "-pix_fmt", "gray", "-f", "rawvideo", "-"])
    shown = np.frombuffer(raw, np.uint8).reshape(expected[1], expected[0]).astype(int)
    with FrameReader(index) as reader:
        frame = reader.read([0])[0, :, :, 1]
    ours = (frame.astype(int) - 16384) * 255 / 16384
    assert np.corrcoef(ours.ravel(), shown.ravel())[0, 1] > 0.99


def test_change_of_size_names_the_frame(clips: Any, tmp_path: Path) -> None:
    parts = [tmp_path / "a.ts", tmp_path / "b.ts"]
    clips.make(parts[0], ["-c:v", "libx264", "-bf", "0"], frames=24)
    clips.make(parts[1], ["-vf", "scale=48:32", "-c:v", "libx264", "-bf", "0"], frames=24)
    film = tmp_path / "joined.mkv"
    run_ffmpeg(["-i", f"concat:{parts[0]}|{parts[1]}", "-c", "copy", str(film)])
    index = index_source(str(film))
    with FrameReader(index) as reader, pytest.raises(InputError) as caught:
        reader.read(range(len(index)))
    assert "expected 96x64 yuv420p" in str(caught.value)
    assert "48x32" in str(caught.value)
    assert "frame " in caught.value.where


def test_frame_that_is_not_there_is_refused(clips: Any) -> None:
    with FrameReader(index_source(str(clips("closed.mp4")))) as reader:
        with pytest.raises(InputError, match="has 60 frames, no frame 60"):
            reader.read([60])
        with pytest.raises(InputError, match="no frame -1"):
            reader.read([-1])


def test_reader_opens_again_after_close(clips: Any) -> None:
    reader = FrameReader(index_source(str(clips("closed.mp4"))))
    before = reader.read([7])
    reader.close()
    reader.close()
    assert np.array_equal(reader.read([7]), before)
    reader.close()


def test_film_may_move_after_it_was_indexed(clips: Any, tmp_path: Path) -> None:
    index = index_source(str(clips("closed.mp4")))
    moved = tmp_path / "moved.mp4"
    moved.write_bytes(clips("closed.mp4").read_bytes())
    with FrameReader(index) as one, FrameReader(replace(index, path=str(moved))) as other:
        assert np.array_equal(one.read([30]), other.read([30]))


@pytest.mark.parametrize("clip", ["bbb_480p_30s.mp4", "bbb_720p_30s.webm"])
def test_real_film_reads_the_same_from_anywhere(clip: str) -> None:
    film = DATA / clip
    if not film.exists():
        pytest.skip("shared footage (../shared/data/bbb) is not here")
    index = index_source(str(film))
    end = min(len(index), 150)
    with FrameReader(index, threads=2) as reader:
        truth = {k: reader.read_planes(k) for k in range(end)}
    with FrameReader(index) as reader:
        for start in (120, 33, 77):
            check(reader, truth, range(start, start + 4))  # type: ignore[arg-type]
