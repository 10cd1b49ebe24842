"""Decode a whole film: every frame and sample is there, and shows what it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from tasks.assemble.source import main_video, seconds
from tasks.colour import rgb_from_planes
from tasks.decode.planes import planar_format, planes_of
from tasks.frames import to_uint8
from tasks.picture import Picture
from tasks.verify.expectation import FilmExpectation
from tasks.verify.findings import Finding

PictureOf = Callable[[int], NDArray[np.uint8] | None]
"""Gives the picture expected of a frame, (H, W, 3) 8-bit R'G'B' of any size; None: do not look."""
Progress = Callable[[int, int], None]

THUMB = (64, 36)
"""Pictures are compared this small, and 4 times smaller than they are: coding noise and halved
chroma average out, a picture out of place does not."""
_SWSCALE_MATRIX: dict[str, Colorspace] = {
    "bt709": Colorspace.ITU709,
    "bt470bg": Colorspace.ITU601,
    "smpte170m": Colorspace.ITU601,
    "smpte240m": Colorspace.SMPTE240M,
    "fcc": Colorspace.FCC,
    "bt2020nc": Colorspace.BT2020,
}
"""swscale's names; a tag that is not here is converted as swscale sees fit."""
LIKENESS_LIMIT = 0.03
"""Mean absolute difference, of full scale, from which two pictures are taken for different ones.
Compression stays under 0.01 at this size; neighbouring shots differ by 0.1 and more."""
JUMP_S = Fraction(1, 50)
"""Decoded sound this far from where it was due has a gap; its source may have had it too."""
MOST_FINDINGS = 20
"""Findings about single frames that are listed before the rest is only counted."""


def check_decoded(
    film: Path,
    expected: FilmExpectation,
    *,
    picture_of: PictureOf | None = None,
    limit: float = LIKENESS_LIMIT,
    progress: Progress | None = None,
) -> list[Finding]:
    """Findings from decoding every frame and every sample of a film."""
    try:
        with av.open(str(film)) as file:
            found = list(_pictures(file, expected, picture_of, limit, progress))
        with av.open(str(film)) as file:
            found += list(_sounds(file))
    except (av.FFmpegError, OSError) as error:
        return [_broken("film", str(error))]
    if len(found) > MOST_FINDINGS:
        rest = len(found) - MOST_FINDINGS
        found = [*found[:MOST_FINDINGS], _broken("more", f"{rest} more like these")]
    return found


def _pictures(
    file: InputContainer,
    expected: FilmExpectation,
    picture_of: PictureOf | None,
    limit: float,
    progress: Progress | None,
) -> Iterator[Finding]:
    video = main_video(file)
    if video is None:
        yield _broken("pictures", "none")
        return
    video.thread_type = "AUTO"  # type: ignore[attr-defined]  # handed on to the codec context
    count = 0
    try:
        for frame in file.decode(video):
            if not isinstance(frame, VideoFrame):
                continue
            if frame.is_corrupt:
                yield _broken(f"frame {count}", "a corrupt one")
            if picture_of is not None:
                yield from _look(frame, count, expected, picture_of, limit)
            count += 1
            if progress:
                progress(count, len(expected.times_s))
    except av.FFmpegError as error:
        yield _broken(f"frame {count}", str(error))
        return
    if count != len(expected.times_s):
        yield Finding(
            what="decoded frames",
            where="",
            expected=str(len(expected.times_s)),
            got=str(count),
        )


def _look(
    frame: VideoFrame,
    index: int,
    expected: FilmExpectation,
    picture_of: PictureOf,
    limit: float,
) -> Iterator[Finding]:
    wanted = picture_of(index)
    if wanted is None:
        return
    matrix = _SWSCALE_MATRIX.get(expected.picture.matrix_tag)
    quick: Any = frame.to_ndarray(format="rgb24", src_colorspace=matrix)
    apart = _apart(quick, wanted)
    if apart > limit:
        apart = min(apart, _apart(_converted(frame, expected.picture), wanted))
    if apart > limit:
        yield Finding(
            what="picture",
            where=f"frame {index}",
            expected=f"a difference of {limit:.3f} at the most",
            got=f"{apart:.3f}",
        )


def _converted(frame: VideoFrame, picture: Picture) -> NDArray[np.uint8]:
    """The frame in 8-bit R'G'B' by our own conversion: ten times swscale's time (28 against 3 ms
    at 1080p), but exact where swscale's chroma is not: in noise it is 0.05 off on average."""
    there = replace(
        picture,
        width=frame.width,
        height=frame.height,
        pix_fmt=planar_format(frame.format.name),
    )
    return to_uint8(rgb_from_planes(planes_of(frame), there))


def _apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean absolute difference of two pictures made small, of full scale."""
    height, width = one.shape[:2]
    size = (min(THUMB[0], -(-width // 4)), min(THUMB[1], -(-height // 4)))
    small = [cv2.resize(side, size, interpolation=cv2.INTER_AREA) for side in (one, other)]
    return float(np.mean(np.abs(small[0].astype(np.float32) - small[1].astype(np.float32)))) / 255


def _sounds(file: InputContainer) -> Iterator[Finding]:
    """Decode all sound; the first error and the first jump in each stream are findings."""
    sounds = list(file.streams.audio)
    ears = {stream.index: _Ear(number) for number, stream in enumerate(sounds, 1)}
    for packet in file.demux(sounds) if sounds else ():
        yield from ears[packet.stream.index].hear(packet)


class _Ear:
    """Follows one sound stream."""

    def __init__(self, number: int) -> None:
        self.where = f"sound {number}"
        self.due_s: Fraction | None = None
        self.quiet: set[str] = set()

    def hear(self, packet: Packet) -> Iterator[Finding]:
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            yield from self._once(_broken(self.where, str(error)))
            return
        for frame in frames:
            if not isinstance(frame, AudioFrame):
                continue
            time = seconds(frame.pts, frame.time_base)
            if self.due_s is not None and abs(time - self.due_s) > JUMP_S:
                yield from self._once(
                    Finding(
                        what="gap in the sound",
                        where=self.where,
                        expected=f"{float(self.due_s):.3f} s",
                        got=f"{float(time):.3f} s",
                        severity="warning",
                    )
                )
            self.due_s = time + Fraction(frame.samples, frame.sample_rate)

    def _once(self, finding: Finding) -> Iterator[Finding]:
        if finding.what not in self.quiet:
            self.quiet.add(finding.what)
            yield finding


def _broken(where: str, got: str) -> Finding:
    return Finding(what="decoding", where=where, expected="no error", got=got)
