"""Compares a shot with the last good night's: PSNR, SSIM, flicker, the worst frames.

Both segments are decoded side by side, a frame at a time; a film's memory is a few frames.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import inf
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from cluster.errors import InputError
from tasks.metrics.flicker import still_in
from tasks.metrics.scores import Frame, psnr, ssim

EQUAL_DB = 99.0
"""What equal pictures count as."""
STILL_SHARE = 0.01
"""Of the picture: where less than this holds, there is nothing to see flicker on."""
SSIM_EDGE = 256
"""Pictures are shrunk by a whole factor to about this shorter edge before SSIM looks at them, as
its authors do it (Wang et al., ssim.m of 2004, note on scale); 1080p costs a sixteenth then."""
THUMBNAIL_WIDTH = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A shot's segment as a file, with its number of frames and how long it is shown."""

    path: Path
    frames: int
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """The frame of a shot that is worst by a measure, counted from 0: the measure then and now,
    and the pictures as PNGs."""

    was: float
    now: float
    frame: int
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a shot's pictures are. `flicker` is the mean over its frames, None where nothing holds;
    `psnr`, `ssim` and `flicker_rise` are of the worst frame, None without a shot to compare."""

    thumbnail: bytes
    flicker: float | None
    flicker_rise: Worst | None = None
    psnr: Worst | None = None
    ssim: Worst | None = None


Pair = tuple[int, Frame, Frame]
"""A frame's number, its picture then and now."""


class _Extreme:
    """The worst frame so far, its pictures kept as they are."""

    def __init__(self) -> None:
        self._badness = -inf
        self._values = (0.0, 0.0)
        self._pair: Pair | None = None

    def add(self, pair: Pair, *, was: float, now: float) -> None:
        if abs(now - was) > self._badness:
            self._badness, self._values, self._pair = abs(now - was), (was, now), pair

    def worst(self) -> Worst | None:
        if self._pair is None:
            return None
        number, before, after = self._pair
        return Worst(
            was=self._values[0],
            now=self._values[1],
            frame=number,
            before=to_png(before),
            after=to_png(after),
        )


def match_frames(after: Side, before: Side) -> list[int | None]:
    """For each frame of a shot the one of the earlier shot that was on screen at its time; None
    where that one had ended. Of shots of as many frames each has its own number."""
    if after.frames == before.frames:
        return list(range(after.frames))
    step, past_step = after.duration_s / after.frames, before.duration_s / before.frames
    at = (int((number * step + step / 1000) / past_step) for number in range(after.frames))
    return [number if number < before.frames else None for number in at]


def measure_shot(after: Side, before: Side | None = None) -> Measured:
    """Look at every frame of a shot, beside the earlier one's if there is one.

    A picture of another size than before is compared at that one's. InputError where a segment
    cannot be decoded.
    """
    matches = match_frames(after, before) if before else []
    lowest_db, lowest_ssim, flicker_rise = _Extreme(), _Extreme(), _Extreme()
    changes: list[float] = []
    thumbnail: Frame | None = None
    last: tuple[Frame, Frame] | None = None
    with closing(_decode(after.path)) as made, closing(_Seeker(before)) as past:
        for number, frame in enumerate(made):
            if thumbnail is None or number == after.frames // 2:
                thumbnail = frame
            place = matches[number] if number < len(matches) else None
            if before is not None and place is None:
                continue
            earlier = frame if place is None else past.frame(place)
            fitted = _fit(frame, earlier)
            seen = (number, earlier, frame)
            if before is not None:
                db, alike = _similarity(fitted, earlier)
                lowest_db.add(seen, was=EQUAL_DB, now=db)
                lowest_ssim.add(seen, was=1.0, now=alike)
            if last is not None and (change := _changes(fitted, earlier, last)) is not None:
                was, now = change
                changes.append(now)
                if before is not None and now >= was:
                    flicker_rise.add(seen, was=was, now=now)
            last = fitted, earlier
    if thumbnail is None:
        raise InputError("holds no frame", where=str(after.path))
    return Measured(
        thumbnail=to_png(_small(thumbnail)),
        flicker=float(np.mean(changes)) if changes else None,
        flicker_rise=flicker_rise.worst(),
        psnr=lowest_db.worst(),
        ssim=lowest_ssim.worst(),
    )


def to_png(picture: Frame) -> bytes:
    """A picture (H, W, 3) R'G'B' as a PNG."""
    return bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1])


class _Seeker:
    """Frames of the earlier shot by number, asked for in rising order."""

    def __init__(self, side: Side | None) -> None:
        self._path = side.path if side else None
        self._frames = _decode(side.path) if side else None
        self._number = -1
        self._frame: Frame | None = None

    def frame(self, number: int) -> Frame:
        while self._number < number:
            self._frame = next(self._frames, None) if self._frames else None
            if self._frame is None:
                raise InputError(f"ends before frame {number}", where=str(self._path))
            self._number += 1
        assert self._frame is not None
        return self._frame

    def close(self) -> None:
        if self._frames:
            self._frames.close()


def _decode(path: Path) -> Generator[Frame, None, None]:
    """Every frame of a film in the order shown, (H, W, 3) 8-bit R'G'B'."""
    try:
        with av.open(str(path)) as file:
            for frame in file.decode(video=0):
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    except av.error.FFmpegError as error:
        raise InputError(f"cannot be decoded ({error.strerror})", where=str(path)) from error


def _similarity(frame: Frame, earlier: Frame) -> tuple[float, float]:
    """PSNR in dB, at the most EQUAL_DB, and SSIM of what is seen of the picture as a whole."""
    if np.array_equal(frame, earlier):
        return EQUAL_DB, 1.0
    factor = max(1, round(min(frame.shape[:2]) / SSIM_EDGE))
    size = (frame.shape[1] // factor, frame.shape[0] // factor)
    small = [
        np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA), np.uint8)
        for each in (frame, earlier)
    ]
    return min(psnr(frame, earlier), EQUAL_DB), ssim(small[0], small[1])


def _changes(
    fitted: Frame, earlier: Frame, last: tuple[Frame, Frame]
) -> tuple[float, float] | None:
    """Mean absolute change of luma since the frame before, then and now, where the earlier shot's
    picture holds; None where too little of it does."""
    still = still_in(earlier, last[1])
    if np.count_nonzero(still) < STILL_SHARE * still.size:
        return None
    return _change(earlier, last[1], still), _change(fitted, last[0], still)


def _change(frame: Frame, before: Frame, still: NDArray[np.bool_]) -> float:
    grey, past = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (frame, before))
    return float(cv2.absdiff(grey, past)[still].mean(dtype=np.float64))


def _fit(frame: Frame, like: Frame) -> Frame:
    if frame.shape == like.shape:
        return frame
    size: Sequence[int] = (like.shape[1], like.shape[0])
    how = cv2.INTER_AREA if frame.shape[0] > like.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(frame, size, interpolation=how), np.uint8)


def _small(picture: Frame) -> Frame:
    height, width = picture.shape[:2]
    if width <= THUMBNAIL_WIDTH:
        return picture
    size = (THUMBNAIL_WIDTH, max(1, round(height * THUMBNAIL_WIDTH / width)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
