"""Cuts sound to the sample from ranges of sources, joins it, and encodes it once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from numpy.typing import NDArray

from cluster.errors import InputError
from tasks.assemble.source import seconds

Samples = NDArray[Any]
"""(channels, n) samples of one planar format."""

SETTLE_FRAMES = 48
"""Decoded frames whose rounded times together tell where sound really starts."""
JUMP_S = Fraction(1, 50)
"""Decoded sound further than this from where it was due has a gap or an overlap in its source."""
LEAD_S = (Fraction(1), Fraction(10), None)
"""How far before a range decoding starts, tried in turn; None: at the source's beginning."""

_DTYPES: dict[str, type[np.generic]] = {"s16p": np.int16, "s32p": np.int32, "fltp": np.float32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """`[start_s, end_s)` of a source's sound stream (None: silence), to the end if `end_s` None."""

    path: Path
    index: int | None
    start_s: Fraction
    end_s: Fraction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundForm:
    """Rate in Hz, layout by ffmpeg's name, and planar sample format (s16p, s32p or fltp)."""

    rate: int
    layout: str
    format: str

    @property
    def channels(self) -> int:
        """How many."""
        return av.AudioLayout(self.layout).nb_channels

    def silence(self, count: int) -> Samples:
        """`count` samples of nothing."""
        return np.zeros((self.channels, count), _DTYPES[self.format])


def join_sound(cuts: Sequence[Cut], *, form: SoundForm) -> Iterator[Samples]:
    """The cuts' sound one after another, without a sample more or less than their lengths.

    Sample n of the result is heard at n / rate s of the film: every cut begins at the sample
    nearest to the sum of the lengths before it, so rounding does not add up. Where a source has
    no sound, silence. Errors: InputError.
    """
    film_s = Fraction(0)
    written = 0
    for cut in cuts:
        until = None
        if cut.end_s is not None:
            film_s += cut.end_s - cut.start_s
            until = round(film_s * form.rate) - written
        for block in _exactly(until, _cut_samples(cut, form=form), form):
            written += block.shape[1]
            yield block


def encode_sound(
    stream: AudioStream, blocks: Iterator[Samples], *, form: SoundForm
) -> Iterator[tuple[Fraction, Packet[Any]]]:
    """Encode joined sound; packets with their film time in seconds."""
    at = 0
    for block in blocks:
        samples = np.ascontiguousarray(block)
        frame = AudioFrame.from_ndarray(samples, format=form.format, layout=form.layout)
        frame.sample_rate = form.rate
        frame.pts, frame.time_base = at, Fraction(1, form.rate)
        at += block.shape[1]
        yield from _timed(stream.encode(frame))
    yield from _timed(stream.encode(None))


def _timed(packets: Sequence[Packet[Any]]) -> Iterator[tuple[Fraction, Packet[Any]]]:
    for packet in packets:
        yield seconds(packet.dts, packet.time_base), packet


def _exactly(count: int | None, blocks: Iterator[Samples], form: SoundForm) -> Iterator[Samples]:
    if count is None:
        yield from blocks
        return
    for block in blocks:
        part = block[:, :count]
        count -= part.shape[1]
        if part.shape[1]:
            yield part
        if count == 0:
            return
    while count:
        part = form.silence(min(count, form.rate))
        count -= part.shape[1]
        yield part


def _cut_samples(cut: Cut, *, form: SoundForm) -> Iterator[Samples]:
    """The sound of a cut from its start on, contiguous; may run past its end."""
    if cut.index is None:
        return
    try:
        for lead_s in LEAD_S:
            with av.open(str(cut.path), metadata_errors="replace") as file:
                frames = _frames_from(file, cut.index, cut.start_s, lead_s)
                if frames is not None:
                    yield from _place(frames, cut.start_s, cut.end_s, form)
                    return
    except (av.FFmpegError, OSError) as error:
        raise InputError(
            f"cannot decode sound: {error}", where=f"{cut.path} stream {cut.index}"
        ) from error


def _frames_from(
    file: InputContainer, index: int, start_s: Fraction, lead_s: Fraction | None
) -> Iterator[AudioFrame] | None:
    """Decoded frames from `lead_s` before `start_s` on; None if the seek landed too late."""
    stream = file.streams[index]
    if lead_s is not None:
        target = int((start_s - lead_s) / (stream.time_base or Fraction(1)))
        if target <= (stream.start_time or 0):
            return None
        file.seek(target, stream=stream)
    frames = (
        frame
        for frame in file.decode(stream)
        if isinstance(frame, AudioFrame) and frame.pts is not None
    )
    first = next(frames, None)
    if lead_s is not None and (first is None or _time_of(first) > start_s):
        return None
    return chain([first], frames) if first is not None else iter(())


def _time_of(frame: AudioFrame) -> Fraction:
    return seconds(frame.pts, frame.time_base)


def _place(
    frames: Iterator[AudioFrame], start_s: Fraction, end_s: Fraction | None, form: SoundForm
) -> Iterator[Samples]:
    """Put decoded frames on one line of samples whose first is heard at `start_s`."""
    shape = AudioResampler(format=form.format, layout=form.layout, rate=form.rate)
    written = 0
    for run in _runs(frames):
        where = round((run.start_s - start_s) * form.rate)
        if end_s is not None and run.start_s >= end_s:
            return
        for frame in run.frames:
            frame.pts = None
            for block in _shaped(shape, frame):
                late = where - written
                where += block.shape[1]
                if late > 0:
                    yield form.silence(late)
                    written += late
                part = block[:, max(0, -late) :]
                if part.shape[1]:
                    yield part
                    written += part.shape[1]
    for block in _shaped(shape, None):
        yield block


def _shaped(shape: AudioResampler, frame: AudioFrame | None) -> Iterator[Samples]:
    for shaped in shape.resample(frame):
        if shaped.samples:
            yield shaped.to_ndarray()


@dataclass(slots=True)
class _Run:
    """Decoded frames without a gap; `start_s` is where the first really starts."""

    start_s: Fraction
    frames: Iterator[AudioFrame]


def _runs(frames: Iterator[AudioFrame]) -> Iterator[_Run]:
    held: list[AudioFrame] = []
    while True:
        while len(held) < SETTLE_FRAMES and (frame := next(frames, None)) is not None:
            held.append(frame)
        if not held:
            return
        start_s = _settle(held)
        run = _take_run(held, frames, start_s)
        yield _Run(start_s=start_s, frames=run)
        for _ in run:
            pass


def _take_run(
    held: list[AudioFrame], frames: Iterator[AudioFrame], start_s: Fraction
) -> Iterator[AudioFrame]:
    """Frames from `held`, then `frames`, up to a jump; the frame after it stays in `held`."""
    due = start_s
    while True:
        if not held:
            frame = next(frames, None)
            if frame is None:
                return
            held.append(frame)
        frame = held[0]
        if abs(_time_of(frame) - due) > JUMP_S:
            return
        held.pop(0)
        due += Fraction(frame.samples, frame.sample_rate)
        yield frame


def _settle(frames: Sequence[AudioFrame]) -> Fraction:
    """Where the first frame starts, from the rounded times of those that follow it."""
    offsets: list[Fraction] = []
    passed = Fraction(0)
    for frame in frames:
        offset = _time_of(frame) - passed
        if offsets and abs(offset - offsets[0]) > 2 * seconds(1, frame.time_base):
            break
        offsets.append(offset)
        passed += Fraction(frame.samples, frame.sample_rate)
    return (min(offsets) + max(offsets)) / 2
