"""A source that changes while it is read gives no frame that could be taken for the old one's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cluster.errors import InputError
from cluster.keys import Digest
from tasks.decode import FrameReader, index_source
from tasks.decode.digest import Identity, identify
from tasks.decode.unchanged import HeldFile


@pytest.fixture
def film(clips: Any, tmp_path: Path) -> Path:
    return Path(shutil.copy(clips("closed.mp4"), tmp_path / "film.mp4"))


@pytest.fixture
def other(clips: Any, tmp_path: Path) -> Path:
    return Path(shutil.copy(clips("refresh.mp4"), tmp_path / "other.mp4"))


def renamed_over(film: Path, other: Path) -> None:
    os.replace(other, film)


def written_in_place(film: Path, other: Path) -> None:
    film.write_bytes(other.read_bytes())


def with_its_times_put_back(film: Path, other: Path) -> None:
    times = film.stat()
    film.write_bytes(other.read_bytes())
    os.utime(film, ns=(times.st_atime_ns, times.st_mtime_ns))


def with_one_bit_turned(film: Path, other: Path) -> None:
    data = bytearray(film.read_bytes())
    data[len(data) // 2] ^= 1
    film.write_bytes(data)


def removed(film: Path, other: Path) -> None:
    film.unlink()


GONE = r"changed since|cannot be read any more"
CHANGES = [renamed_over, written_in_place, with_its_times_put_back, with_one_bit_turned, removed]
each_change = pytest.mark.parametrize("change", CHANGES)


@each_change
def test_a_film_changed_before_it_is_opened_gives_no_frame(
    change: Callable[[Path, Path], None], film: Path, other: Path
) -> None:
    with FrameReader(index_source(str(film))) as reader:
        change(film, other)
        with pytest.raises(InputError, match=GONE):
            reader.read([0])


@each_change
def test_a_film_changed_between_two_reads_gives_no_second_one(
    change: Callable[[Path, Path], None], film: Path, other: Path
) -> None:
    index = index_source(str(film))
    known = identify(film)
    with FrameReader(index, known=known) as reader:
        reader.read([0, 1])
        change(film, other)
        for _ in range(2):
            with pytest.raises(InputError, match=GONE):
                reader.read([2])


@each_change
def test_a_film_changed_while_it_is_analysed_gives_no_analysis(
    change: Callable[[Path, Path], None], film: Path, other: Path
) -> None:
    def analyse(reader: FrameReader) -> None:
        for frame in reader.iter_frames():
            if frame.index == 1:
                change(film, other)

    with FrameReader(index_source(str(film))) as reader, pytest.raises(InputError, match=GONE):
        analyse(reader)


def test_a_film_put_back_is_read_on(film: Path, other: Path, tmp_path: Path) -> None:
    index = index_source(str(film))
    with FrameReader(index) as reader:
        before = reader.read([3])
        kept = shutil.copy(film, tmp_path / "kept.mp4")
        os.replace(other, film)
        with pytest.raises(InputError, match="changed since"):
            reader.read([3])
        os.replace(kept, film)
        assert np.array_equal(reader.read([3]), before)


def test_a_copy_elsewhere_is_the_film(film: Path, tmp_path: Path) -> None:
    """Another path, inode and times: the content decides."""
    index = index_source(str(film))
    copy = shutil.copy(film, tmp_path / "copy.mp4")
    with FrameReader(replace(index, path=str(copy)), known=identify(film)) as reader:
        assert len(reader.read([0])) == 1


def test_what_is_known_spares_reading_the_film_through(film: Path) -> None:
    wrong = HeldFile(str(film), Digest("0" * 64), known=identify(film))
    wrong.begin()  # not one byte of it was read
    wrong.confirm()


def test_a_file_system_that_tells_nothing_is_not_believed(film: Path, other: Path) -> None:
    digest = index_source(str(film)).digest
    nothing = Identity(size_bytes=film.stat().st_size, mtime_ns=0, ctime_ns=0, inode=0)
    held = HeldFile(str(film), digest, known=nothing, look=lambda path: nothing)
    held.begin()
    held.confirm()
    os.replace(other, film)
    with pytest.raises(InputError, match="changed since"):
        held.confirm()


def test_one_frame_of_a_folder_exported_again_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    for number in range(4):
        grey = np.full((16, 16, 3), 40 * number, np.uint8)
        cv2.imwrite(str(tmp_path / f"{number:03}.png"), grey)
    index = index_source(str(tmp_path), fps=24)  # type: ignore[arg-type]
    cv2.imwrite(str(tmp_path / "002.png"), np.full((16, 16, 3), 9, np.uint8))
    with FrameReader(index) as reader:
        assert len(reader.read([0, 1, 3])) == 3
        with pytest.raises(InputError, match="changed since") as caught:
            reader.read([2])
    assert caught.value.where.endswith("002.png")
