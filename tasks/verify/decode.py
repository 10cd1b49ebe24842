"""Decode a whole film: every frame and sample is there, and shows what it should."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from math import floor
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from tasks.assemble.source import main_video, seconds
from tasks.assemble.tags import MATRIX_CODES, PRIMARIES_CODES, TRANSFER_CODES
from tasks.decode.planes import planar_format, planes_of
from tasks.frames.colour import rgb_from_planes
from tasks.frames.picture import Picture
from tasks.frames.track import ranges_of
from tasks.verify.expectation import FilmExpectation
from tasks.verify.findings import Finding, broken, frames_words, join_runs
from tasks.verify.packets import Matched
from tasks.verify.pictures import (
    PictureDifference,
    apart,
    shrink,
    small_frame,
    small_planes,
)
from tasks.verify.sound import decode_sounds

PictureOf = Callable[[int], NDArray[np.uint8] | None]
"""Gives the picture expected of a frame, (H, W, 3) 8-bit R'G'B' of any size; None: do not look."""
Progress = Callable[[int, int], None]

LIKENESS_LIMIT = 0.03
"""Mean absolute difference, of full scale, from which two pictures are taken for different ones.
Compression stays under 0.01 at this size; neighbouring shots differ by 0.1 and more."""
PART_LIMIT = 0.12
"""A part of the picture, a block of 4x4 pixels or more, this far from the stored one is wrong."""
NOISE_FACTOR = 5.0
NOISE_FRAMES = 96
"""… or farther than this many times what was usual in so many frames before, if that is more."""
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
    threads: int = 0,
    parts: Sequence[tuple[int, int]] | None = None,
) -> list[Finding]:
    """Findings from decoding every frame and every sample of a film.

    `matched` says which frame each shown picture should look like, `times_s` when each of the
    film's pictures is shown (default: they come as they are due). Pictures are decoded with so many
    `threads`, 0: as the machine has cores. With `parts` only these pictures `[start, end)` are
    decoded, counted as `times_s` has them, and all sound.
    """
    check = _PictureCheck(expected, picture_of, limit, matched, times_s)
    try:
        with av.open(str(film)) as file:
            if parts is None:
                pictures = _pictures(file, check, progress, threads)
            else:
                pictures = _parts(file, check, times_s, parts, progress)
            found = join_runs(pictures)
        found += check.verdicts()
        with av.open(str(film)) as file:
            found += list(decode_sounds(file))
    except (av.FFmpegError, OSError) as error:
        return [broken("film", str(error))]
    if len(found) > MOST_FINDINGS:
        rest = len(found) - MOST_FINDINGS
        found = [*found[:MOST_FINDINGS], broken("more", f"{rest} more like these")]
    return found


def _pictures(
    file: InputContainer, check: _PictureCheck, progress: Progress | None, threads: int
) -> Iterator[Finding]:
    video = main_video(file)
    if video is None:
        yield broken("pictures", "none")
        return
    video.thread_type = "AUTO"  # handed on to the codec context
    video.codec_context.thread_count = threads
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
        yield broken(f"frame {count}", str(error), frames=(count, count + 1))
        return
    if count != due:
        yield Finding(what="decoded frames", where="", expected=str(due), got=str(count))


def _parts(
    file: InputContainer,
    check: _PictureCheck,
    times_s: Sequence[Fraction],
    parts: Sequence[tuple[int, int]],
    progress: Progress | None,
) -> Iterator[Finding]:
    """Findings of some of the pictures only, each part decoded from a key frame on."""
    video = main_video(file)
    assert video is not None
    assert video.time_base is not None
    video.thread_type = "AUTO"
    ranks = {time: rank for rank, time in enumerate(times_s)}
    seen, due = 0, sum(end - start for start, end in parts)
    for start, end in parts:
        left = set(range(start, end))
        file.seek(floor(times_s[start] / video.time_base), stream=video)
        try:
            for frame in file.decode(video):
                rank = ranks.get(seconds(frame.pts, frame.time_base), -1)
                if rank >= end:
                    break
                if rank in left:
                    left.remove(rank)
                    yield from check.frame(frame, rank)
                    seen += 1
                    if progress:
                        progress(seen, due)
        except av.FFmpegError as error:
            first = min(left, default=end - 1)
            yield broken(frames_words((first, end)), str(error), frames=(first, end))
            continue
        for run in ranges_of(left):
            yield Finding(
                what="decoded frames",
                where=frames_words(run),
                expected="each once",
                got="none",
                frames=run,
            )


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
            yield broken(frames_words(here), "a corrupt one", frames=here)
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
        planes, coded = planes_of(frame), _coded(frame, self.expected.picture)
        quick = small_planes(planes, coded)
        if wanted.shape != quick.shape:
            wanted = shrink(wanted)
        distance = apart(quick, wanted)
        if self._is_other(distance):  # out of the RGB cube, where making small first is wrong
            exact = apart(small_frame(rgb_from_planes(planes, coded)), wanted)
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


def _coded(frame: VideoFrame, picture: Picture) -> Picture:
    """The picture that a decoded frame is of, in the delivered picture's colours."""
    planar = planar_format(frame.format.name)
    depth = max(part.bits for part in frame.format.components if not part.is_alpha)
    return replace(picture, width=frame.width, height=frame.height, pix_fmt=planar, depth=depth)
