"""A shot's pictures beside the earlier night's: what is measured, and on which frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cluster.errors import InputError
from tasks.encode.ffmpeg import run_ffmpeg
from tasks.metrics.film_quality import EQUAL_DB, Side, match_frames, measure_shot
from tasks.metrics.loudness import SILENCE_LUFS, louder, measure_loudness

Picture = NDArray[np.uint8]
FRAMES = 8


def drawing(number: int, *, size: tuple[int, int] = (36, 64)) -> Picture:
    """A still background with a square that moves."""
    picture = np.full((*size, 3), 90, np.uint8)
    picture[:, : size[1] // 2] = 160
    picture[4:12, 4 * number : 4 * number + 8] = 240
    return picture


def write(path: Path, draw: Callable[[int], Picture], *, frames: int = FRAMES) -> Side:
    """A lossless film of drawings."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=24)
        first = draw(0)
        stream.width, stream.height, stream.pix_fmt = first.shape[1], first.shape[0], "bgr0"
        for number in range(frames):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(draw(number), format="rgb24")))
        file.mux(stream.encode(None))
    return Side(path=path, frames=frames, duration_s=frames / 24)


def picture_of(png: bytes) -> Picture:
    decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def spoilt(number: int) -> Picture:
    """Frame 5 has lost its square, frame 2 is a code off."""
    if number == 5:
        return np.where(drawing(5) == 240, 90, drawing(5)).astype(np.uint8)
    return drawing(number) + (number == 2)


def test_equal_pictures_are_equal(tmp_path: Path) -> None:
    one, other = (write(tmp_path / name, drawing) for name in ("a.mkv", "b.mkv"))
    measured = measure_shot(one, other)
    assert measured.psnr is not None
    assert measured.ssim is not None
    assert (measured.psnr.now, measured.ssim.now) == (EQUAL_DB, 1.0)
    assert measured.flicker == 0.0


def test_the_worst_frame_is_shown_before_and_after(tmp_path: Path) -> None:
    before = write(tmp_path / "before.mkv", drawing)
    after = write(tmp_path / "after.mkv", spoilt)
    measured = measure_shot(after, before)
    for worst in (measured.psnr, measured.ssim):
        assert worst is not None
        assert worst.frame == 5
        assert np.array_equal(picture_of(worst.before), drawing(5))
        assert np.array_equal(picture_of(worst.after), spoilt(5))
    assert measured.psnr is not None
    error = np.square(drawing(5).astype(float) - spoilt(5)).mean()
    assert measured.psnr.now == pytest.approx(10 * np.log10(255**2 / error), abs=0.01)


def test_flicker_is_what_changes_where_the_earlier_picture_holds(tmp_path: Path) -> None:
    """The square moves in both; the background blinks in one, most of all from frame 3 to 4."""

    def blinking(number: int) -> Picture:
        return drawing(number) + np.uint8({3: 4, 4: 14}.get(number, 0))

    before = write(tmp_path / "before.mkv", drawing)
    measured = measure_shot(write(tmp_path / "after.mkv", blinking), before)
    assert measured.flicker_rise is not None
    assert measured.flicker_rise.frame == 5
    assert measured.flicker_rise.was == 0
    assert measured.flicker_rise.now == pytest.approx(14, abs=0.3)
    assert measured.flicker == pytest.approx((4 + 10 + 14) / (FRAMES - 1), abs=0.1)
    assert measure_shot(before).flicker == 0


def test_a_first_night_has_a_thumbnail_and_nothing_to_compare(tmp_path: Path) -> None:
    wide = write(tmp_path / "a.mkv", lambda number: drawing(number, size=(72, 640)))
    measured = measure_shot(wide)
    assert picture_of(measured.thumbnail).shape == (18, 160, 3)
    assert measured.psnr is measured.ssim is measured.flicker_rise is None


def test_a_picture_of_another_size_is_compared_at_the_earlier_ones(tmp_path: Path) -> None:
    before = write(tmp_path / "before.mkv", drawing)
    twice = write(tmp_path / "after.mkv", lambda n: drawing(n).repeat(2, 0).repeat(2, 1))
    measured = measure_shot(twice, before)
    assert measured.psnr is not None
    assert measured.psnr.now > 40
    assert picture_of(measured.psnr.after).shape == (72, 128, 3)


def test_a_longer_shot_is_compared_as_far_as_the_earlier_one_went(tmp_path: Path) -> None:
    before = write(tmp_path / "before.mkv", drawing, frames=6)
    longer = write(tmp_path / "after.mkv", drawing, frames=8)
    measured = measure_shot(longer, before)
    assert measured.psnr is not None
    assert measured.psnr.now == EQUAL_DB
    assert match_frames(longer, before) == [0, 1, 2, 3, 4, 5, None, None]


def test_at_another_rate_a_frame_is_held_against_what_was_on_screen_at_its_time() -> None:
    film = Path("none.mkv")
    twice = Side(path=film, frames=8, duration_s=1.0)
    before = Side(path=film, frames=4, duration_s=1.0)
    assert match_frames(twice, before) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert match_frames(before, twice) == [0, 2, 4, 6]
    same = Side(path=film, frames=8, duration_s=2.0)
    assert match_frames(twice, same) == list(range(8))


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(b"no film at all")
    with pytest.raises(InputError, match="cannot be decoded"):
        measure_shot(Side(path=path, frames=1, duration_s=1))


def test_loudness_is_of_the_film_and_of_its_parts(tmp_path: Path) -> None:
    """A tone of a second, then one 12 dB softer, then silence."""
    film = tmp_path / "sound.mka"
    tone = "sine=frequency=1000:sample_rate=48000:duration=1,volume={}dB"
    run_ffmpeg(
        [
            *("-f", "lavfi", "-i", tone.format(0), "-f", "lavfi", "-i", tone.format(-12)),
            *("-f", "lavfi", "-i", "anullsrc=sample_rate=48000:channel_layout=mono:duration=1"),
            *("-filter_complex", "[0][1][2]concat=n=3:v=0:a=1", "-c:a", "flac", str(film)),
        ]
    )
    sound = measure_loudness(film)
    assert sound is not None
    parts = [sound.between(start, start + 1.0) for start in range(3)]
    assert parts[0] is not None
    assert parts[1] is not None
    assert parts[0] - parts[1] == pytest.approx(12, abs=0.2)
    assert parts[2] == SILENCE_LUFS
    assert parts[1] < sound.integrated < parts[0]
    assert sound.between(0.0, 0.3) is None


def test_a_film_without_sound_has_no_loudness_and_counts_as_silent(tmp_path: Path) -> None:
    assert measure_loudness(write(tmp_path / "a.mkv", drawing).path) is None
    assert louder(-20, None) == 50
    assert louder(None, None) == 0
