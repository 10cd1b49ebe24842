"""A folder of numbered pictures is a film; anything wrong in it is named by its file."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cluster.errors import InputError, UsageError
from tasks.decode import FrameReader, SourceIndex, index_source, source_key_material
from tasks.encode.ffmpeg import run_ffmpeg
from tasks.frames.codes import from_uint8

FPS = Fraction(24000, 1001)


def picture(seed: int, *, height: int = 20, width: int = 30) -> NDArray[np.uint8]:
    """Random pixels (height, width, 3), R, G, B."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def write(folder: Path, name: str, pixels: NDArray[np.generic]) -> Path:
    """A picture file of R, G, B or grey pixels."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    swapped = pixels[:, :, ::-1] if pixels.ndim == 3 else pixels
    assert cv2.imwrite(str(file), np.ascontiguousarray(swapped))
    return file


def indexed(folder: Path) -> SourceIndex:
    """The folder's index at 24000/1001."""
    return index_source(str(folder), fps=FPS)


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    folder = tmp_path / "shot"
    for number in range(8, 13):
        write(folder, f"sc01_{number}.png", picture(number))
    return folder


def test_frames_are_read_in_the_order_of_their_numbers(shot: Path) -> None:
    index = indexed(shot)
    assert index.frames == tuple(f"sc01_{number}.png" for number in range(8, 13))
    with FrameReader(index) as reader:
        frames = reader.read([4, 0, 1])
    for frame, number in zip(frames, (12, 8, 9), strict=True):
        assert np.array_equal(frame, from_uint8(picture(number)))


def test_times_are_the_rates(shot: Path) -> None:
    index = indexed(shot)
    assert index.times == tuple(k / FPS for k in range(5))
    assert (index.rate, index.end) == (FPS, 5 / FPS)
    assert (index.kind, index.picture.matrix, index.picture.pix_fmt) == ("folder", "rgb", "gbrp")
    assert SourceIndex.from_json(index.to_json()) == index


def test_rate_must_be_given(shot: Path) -> None:
    with pytest.raises(UsageError, match="give --fps"):
        index_source(str(shot))


def test_gap_is_named(shot: Path) -> None:
    (shot / "sc01_10.png").unlink()
    with pytest.raises(
        InputError, match=r"frame 10 is missing between sc01_9\.png and sc01_11\.png"
    ):
        indexed(shot)


def test_other_size_is_named(shot: Path) -> None:
    write(shot, "sc01_11.png", picture(1, width=31))
    with pytest.raises(InputError, match=r"sc01_11\.png: is 31x20, but sc01_8\.png is 30x20"):
        indexed(shot)


def test_two_sequences_are_refused_and_a_pattern_chooses(shot: Path) -> None:
    write(shot, "mask_13.png", picture(1))
    with pytest.raises(InputError, match="two sequences"):
        indexed(shot)
    assert len(index_source(str(shot / "sc01_%d.png"), fps=FPS)) == 5


def test_pattern_with_a_width_takes_names_of_that_width(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path, f"f_{number:04d}.png", picture(number))
    write(tmp_path, "f_9.png", picture(9))
    index = index_source(str(tmp_path / "f_%04d.png"), fps=FPS)
    assert index.frames == ("f_0000.png", "f_0001.png", "f_0002.png")
    with FrameReader(index) as reader:
        assert np.array_equal(reader.read([2])[0], from_uint8(picture(2)))
    with pytest.raises(InputError, match="matches no frames"):
        index_source(str(tmp_path / "g_%04d.png"), fps=FPS)


def test_double_number_is_named(shot: Path) -> None:
    write(shot, "sc01_009.png", picture(1))
    with pytest.raises(InputError, match=r"sc01_009\.png and sc01_9\.png are both frame 9"):
        indexed(shot)


def test_picture_without_a_number_is_named(shot: Path) -> None:
    write(shot, "reference.png", picture(1))
    with pytest.raises(InputError, match=r"reference\.png: has no frame number"):
        indexed(shot)


def test_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"folder without frames.*found notes\.txt"):
        indexed(tmp_path)


def test_file_that_is_no_picture_is_named(shot: Path) -> None:
    (shot / "sc01_10.png").write_text("not a picture")
    with pytest.raises(InputError, match=r"sc01_10\.png: is not a picture"):
        indexed(shot)


def test_pipe_or_device_among_frames_is_named(shot: Path) -> None:
    os.mkfifo(shot / "frame.0099.png")
    with pytest.raises(UsageError, match=r"frame\.0099\.png: is a pipe, not a file"):
        indexed(shot)
    (shot / "frame.0099.png").unlink()
    (shot / "frame.0099.png").symlink_to("/dev/zero")
    with pytest.raises(UsageError, match=r"frame\.0099\.png: is a device, not a file"):
        indexed(shot)


def test_damaged_picture_is_refused_when_read(shot: Path) -> None:
    file = shot / "sc01_10.png"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(data)
    with FrameReader(indexed(shot)) as reader, pytest.raises(InputError, match=r"sc01_10\.png"):
        reader.read([2])


def test_sixteen_bits_and_grey_among_colour_come_out_alike(tmp_path: Path) -> None:
    grey = picture(0)[:, :, 0]
    deep = picture(1).astype(np.uint16) * 257 + 3
    write(tmp_path, "f1.png", grey)
    write(tmp_path, "f2.png", deep)
    index = indexed(tmp_path)
    assert (index.picture.pix_fmt, index.picture.depth) == ("gbrp16le", 16)
    with FrameReader(index) as reader:
        first, second = reader.read_planes(0), reader.read_planes(1)
        reader.read([0, 1])
    assert np.array_equal(first[2], grey.astype(np.uint16) * 257)
    assert np.array_equal(np.stack(second, 2), deep)


def test_jpeg_keeps_its_own_planes(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path, f"f{number}.jpg", picture(number))
    index = indexed(tmp_path)
    assert (index.picture.matrix, index.picture.range) == ("bt601", "full")
    with FrameReader(index) as reader:
        luma, *_ = reader.read_planes(1)
    raw = run_ffmpeg(["-i", str(tmp_path / "f1.jpg"), "-f", "rawvideo", "-"])
    assert luma.tobytes() == raw[: luma.size]


@pytest.mark.parametrize("suffix", [".tif", ".bmp"])
def test_other_picture_files_read_exactly(tmp_path: Path, suffix: str) -> None:
    write(tmp_path, f"f1{suffix}", picture(5))
    with FrameReader(indexed(tmp_path)) as reader:
        assert np.array_equal(reader.read([0])[0], from_uint8(picture(5)))


def test_linear_light_pictures_are_shown_by_a_stated_curve(tmp_path: Path) -> None:
    run_ffmpeg(
        [
            *("-f", "lavfi", "-i", "color=gray:s=32x16", "-vf", "format=gbrpf32le"),
            *("-frames:v", "1", str(tmp_path / "f1.exr")),
        ]
    )
    index = indexed(tmp_path)
    assert any("scene-linear" in note for note in index.guessed)
    with FrameReader(index) as reader:
        assert reader.read([0]).shape == (1, 16, 32, 3)


def test_change_of_one_file_touches_only_frames_of_it(shot: Path) -> None:
    before = indexed(shot)
    write(shot, "sc01_10.png", picture(99))
    after = indexed(shot)
    assert after.digest != before.digest
    assert source_key_material(after, [0, 1]) == source_key_material(before, [0, 1])
    assert source_key_material(after, [2]) != source_key_material(before, [2])


def test_file_changed_since_the_index_is_refused(shot: Path) -> None:
    index = indexed(shot)
    write(shot, "sc01_10.png", picture(1, width=40))
    with FrameReader(index) as reader, pytest.raises(InputError, match="changed since"):
        reader.read([2])
