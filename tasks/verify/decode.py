"""Decode a whole film: every frame and sample is there, and shows what it should."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from tasks.assemble.source import main_video, seconds
from tasks.assemble.tags import MATRIX_CODES, PRIMARIES_CODES, TRANSFER_CODES
from tasks.decode.planes import planar_format, planes_of
from tasks.frames.codes import to_uint8
from tasks.frames.colour import rgb_from_planes
from tasks.frames.picture import Picture
from tasks.frames.track import ranges_of
from tasks.verify.expectation import FilmExpectation
from tasks.verify.findings import Finding, frames_words, join_runs
from tasks.verify.packets import Matched
from tasks.verify.pictures import PictureDifference, difference_of

PictureOf = Callable[[int], NDArray[np.uint8] | None]
"""Gives the picture expected of a frame, (H, W, 3) 8-bit R'G'B' of any size; None: do not look."""
Progress = Callable[[int, int], None]

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
PART_LIMIT = 0.12
"""A part of the picture, a block of 4x4 pixels or more, this far from the stored one is wrong."""
NOISE_FACTOR = 5.0
NOISE_FRAMES = 96
"""… or farther than this many times what was usual in so many frames before, if that is more."""
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
    matched: Matched | None = None,
    times_s: Sequence[Fraction] = (),
) -> list[Finding]:
    """Findings from decoding every frame and every sample of a film.

    `matched` says which frame each shown picture should look like, `times_s` when each of the
    film's pictures is shown (default: they come as they are due).
    """
    check = _PictureCheck(expected, picture_of, limit, matched, times_s)
    try:
        with av.open(str(film)) as file:
            found = join_runs(_pictures(file, check, progress))
        found += check.verdicts()
        with av.open(str(film)) as file:
            found += list(_sounds(file))
    except (av.FFmpegError, OSError) as error:
        return [_broken("film", str(error))]
    if len(found) > MOST_FINDINGS:
        rest = len(found) - MOST_FINDINGS
        found = [*found[:MOST_FINDINGS], _broken("more", f"{rest} more like these")]
    return found


def _pictures(
    file: InputContainer, check: _PictureCheck, progress: Progress | None
) -> Iterator[Finding]:
    video = main_video(file)
    if video is None:
        yield _broken("pictures", "none")
        return
    video.thread_type = "AUTO"  # handed on to the codec context
    due = len(check.expected.times_s)
    count = 0
    try:
        for frame in file.decode(video):
            if not isinstance(frame, VideoFrame):
                continue
            yield from check.frame(frame, count)
            count += 1
            if progress:
                progress(count, due)
    except av.FFmpegError as error:
        yield _broken(f"frame {count}", str(error), frames=(count, count + 1))
        return
    if count != due:
        yield Finding(what="decoded frames", where="", expected=str(due), got=str(count))


class _PictureCheck:
    """Looks at decoded frames, one after the other."""

    def __init__(
        self,
        expected: FilmExpectation,
        picture_of: PictureOf | None,
        limit: float,
        matched: Matched | None,
        times_s: Sequence[Fraction],
    ) -> None:
        self.expected = expected
        self._picture_of = picture_of
        self._limit = limit
        self._matched = matched
        self._rank = {time: rank for rank, time in enumerate(times_s)}
        self._noise = deque[PictureDifference](maxlen=NOISE_FRAMES)
        self._cleared: set[int] = set()

    def frame(self, frame: VideoFrame, count: int) -> Iterator[Finding]:
        """Findings of one frame, the `count`-th that was decoded."""
        rank = self._rank.get(seconds(frame.pts, frame.time_base), count)
        index: int | None = rank
        if self._matched is not None and rank < len(self._matched.frame_of):
            index = self._matched.frame_of[rank]
        place = rank if index is None else index
        here = (place, place + 1)
        if frame.is_corrupt:
            yield _broken(frames_words(here), "a corrupt one", frames=here)
        yield from self._form(frame, here)
        if index is not None and self._picture_of is not None:
            yield from self._look(frame, index, here)

    def verdicts(self) -> list[Finding]:
        """Shots whose packets are not their segment's, where they look as they should: it is the
        segment that is another's, or the film by less than can be seen in small pictures."""
        if self._matched is None:
            return []
        return [
            Finding(
                what="segment or film",
                where=frames_words(run),
                expected="the same packets in both",
                got="others, that look like the stored pictures",
                frames=run,
            )
            for run in ranges_of(self._matched.suspect & self._cleared)
        ]

    def _form(self, frame: VideoFrame, here: tuple[int, int]) -> Iterator[Finding]:
        picture = self.expected.picture
        if (frame.width, frame.height) != (picture.width, picture.height):
            yield Finding(
                what="frame size",
                where=frames_words(here),
                expected=f"{picture.width}x{picture.height}",
                got=f"{frame.width}x{frame.height}",
                frames=here,
            )
        for what, codes, tag, code in (
            ("matrix", MATRIX_CODES, picture.matrix_tag, int(frame.colorspace)),
            ("primaries", PRIMARIES_CODES, picture.primaries, int(frame.color_primaries)),
            ("transfer", TRANSFER_CODES, picture.transfer, int(frame.color_trc)),
        ):
            if tag in codes and code != codes[tag]:
                got = next((name for name, number in codes.items() if number == code), str(code))
                yield Finding(
                    what=f"{what} of decoded frames",
                    where=frames_words(here),
                    expected=tag,
                    got=got,
                    frames=here,
                )

    def _look(self, frame: VideoFrame, index: int, here: tuple[int, int]) -> Iterator[Finding]:
        assert self._picture_of is not None
        wanted = self._picture_of(index)
        if wanted is None:
            return
        matrix = _SWSCALE_MATRIX.get(self.expected.picture.matrix_tag)
        quick: Any = frame.to_ndarray(format="rgb24", src_colorspace=matrix)
        distance = difference_of(quick, wanted)
        if self._is_other(distance):
            exact = difference_of(_converted(frame, self.expected.picture), wanted)
            distance = min(distance, exact, key=lambda one: one.most)
        if not self._is_other(distance):
            self._noise.append(distance)
            self._cleared.add(index)
            return
        yield Finding(
            what="stored picture" if self._is_copy(index) else "picture",
            where=frames_words(here),
            expected="the stored picture",
            got=f"another: {distance.mean:.3f} apart, {distance.most:.3f} in part",
            frames=here,
        )

    def _is_copy(self, index: int) -> bool:
        """Whether the film's packets are the segment's, so that segment or chunk must be wrong."""
        matched = self._matched
        if matched is None or not matched.copied or matched.findings:
            return False
        return index not in matched.suspect

    def _is_other(self, distance: PictureDifference) -> bool:
        limits = self._limits()
        return distance.mean > limits.mean or distance.most > limits.most

    def _limits(self) -> PictureDifference:
        """How far apart pictures may be: what coding did to the frames before counts."""
        usual = np.median([(one.mean, one.most) for one in self._noise] or [(0.0, 0.0)], axis=0)
        return PictureDifference(
            mean=max(self._limit, NOISE_FACTOR * float(usual[0])),
            most=max(PART_LIMIT, NOISE_FACTOR * float(usual[1])),
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


def _sounds(file: InputContainer) -> Iterator[Finding]:
    """Decode all sound; the first error and the first jump in each stream are findings."""
    sounds = list(file.streams.audio)
    checks = {stream.index: _SoundCheck(number) for number, stream in enumerate(sounds, 1)}
    for packet in file.demux(sounds) if sounds else ():
        yield from checks[packet.stream.index].packet(packet)


class _SoundCheck:
    """Follows one sound stream."""

    def __init__(self, number: int) -> None:
        self.where = f"sound {number}"
        self.due_s: Fraction | None = None
        self.quiet: set[str] = set()

    def packet(self, packet: Packet[Any]) -> Iterator[Finding]:
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


def _broken(where: str, got: str, *, frames: tuple[int, int] | None = None) -> Finding:
    return Finding(what="decoding", where=where, expected="no error", got=got, frames=frames)
