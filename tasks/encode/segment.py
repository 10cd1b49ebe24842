"""A shot's frames to one closed-GOP, video-only segment that joins others without re-encoding.

A segment is a Matroska file with one video stream whose timestamps are frame indices (0, 1, 2, …
in a time base of 1/1000: they count, they do not measure), so that whoever joins segments stamps
packets from exact times. Matroska because it names colour, range, chroma siting and the pixel's
shape for all five encoders; mp4 loses siting, and takes no ProRes.
All segments of one (spec, picture, rate) have the same codec headers, and the same bytes for the
same frames on any number of cores: thread counts are fixed, since encoders divide work by them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import ffmpeg
import numpy as np
from ffmpeg.nodes import OutputStream

from cluster.errors import EncodeError
from cluster.keys import Digest, digest_bytes, digest_file
from tasks.encode.encoders import EncodeSpec, encoder_options
from tasks.encode.ffmpeg import ffmpeg_build, local_url, run_ffmpeg
from tasks.frames.codes import Frames
from tasks.frames.colour import Planes, planes_from_rgb
from tasks.frames.picture import Picture

RATE_MOST = Fraction(500)
"""Frames per second an encoder is told at the most: above it, 1 ms ticks no longer count frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentInfo:
    """A finished segment: its packets' pts are the frame indices 0 … frames-1, packet 0 a keyframe.

    `delay` is by how many frames decoding order runs ahead of showing: packet i in file order may
    be given the decoding time of frame `i - delay`. `headers` is the digest of the codec's headers
    (extradata); segments join only where it is equal.
    """

    path: Path
    frames: int
    size_bytes: int
    digest: Digest
    headers: Digest
    delay: int


def encode_segment(
    path: Path,
    frames: Iterable[Frames | Planes],
    *,
    count: int,
    spec: EncodeSpec,
    picture: Picture,
    rate: Fraction,
    timeout_s: float | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> SegmentInfo:
    """Encode one shot; `path` appears when the segment is whole, or not at all.

    `frames` gives (H, W, 3) or (N, H, W, 3) uint16 codes in order, or the picture's own planes of a
    frame as `planes_from_rgb` gives them, `count` in all; `picture` is
    what `delivery_picture` gave, with every tag set; `rate` is the film's nominal frame rate, for
    the encoder's rate control and the stream's header alone. Converting a frame overlaps with
    encoding the ones before it. EncodeError when ffmpeg fails, or frames are missing or too many.
    """
    where = path.name
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".mkv", dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        run_ffmpeg(
            _command(partial, spec=spec, picture=picture, rate=rate),
            input=_raw_frames(frames, count=count, picture=picture, where=where),
            on_progress=on_progress,
            timeout_s=timeout_s,
            where=where,
        )
        if spec.encoder == "ffv1" and picture.range == "full" and picture.matrix != "rgb":
            _mark_full_range(partial)
        info = _inspect(partial, count=count, where=where)
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return SegmentInfo(
        path=path,
        frames=count,
        size_bytes=path.stat().st_size,
        digest=digest_file(path),
        headers=info[0],
        delay=info[1],
    )


def encoder_settings_key(
    spec: EncodeSpec, picture: Picture, *, rate: Fraction
) -> dict[str, object]:
    """Everything besides the frames that a segment's bytes depend on, as plain data for a key."""
    return {
        "build": ffmpeg_build(),
        "options": encoder_options(spec, picture),
        "picture": {
            "size": [picture.width, picture.height],
            "pix_fmt": picture.pix_fmt,
            "depth": picture.depth,
            "colour": [picture.matrix, picture.range, picture.siting],
            "tags": [picture.matrix_tag, picture.primaries, picture.transfer],
            "sar": picture.sar,
        },
        "rate": min(rate, RATE_MOST),
    }


def _command(target: Path, *, spec: EncodeSpec, picture: Picture, rate: Fraction) -> OutputStream:
    told = min(rate, RATE_MOST)
    told_text = f"{told.numerator}/{told.denominator}"
    matrix, primaries, transfer = _tags(picture)
    source = ffmpeg.input(
        "pipe:0",
        format="rawvideo",
        pixel_format=picture.pix_fmt,
        video_size=(picture.width, picture.height),
        framerate=told_text,
    )
    tags = {
        "range": picture.range,
        "color_primaries": primaries,
        "color_trc": _FILTER_WORDS.get(transfer, transfer),
        "colorspace": matrix,
        "chroma_location": picture.siting,
    }
    if spec.encoder == "ffv1" and picture.range == "full":
        # ffmpeg lets ffv1 be called limited alone and would rescale: see _mark_full_range
        del tags["range"]
    tagged = source.filter("setparams", **tags).filter(
        "setsar", sar=f"{picture.sar.numerator}/{picture.sar.denominator}", max=1 << 16
    )
    index = f"round({{}}*{told_text}/1000)"
    options = {
        **encoder_options(spec, picture),
        "pix_fmt": picture.pix_fmt,
        "fps_mode": "passthrough",
        "bsf:v": f"setts=time_base=1/1000:prescale=1:duration=1"
        f":pts={index.format('PTS')}:dts={index.format('DTS')}",
        "f": "matroska",
        "fflags": "+bitexact",
    }
    return ffmpeg.output(tagged, local_url(target), **options).global_args(
        "-noauto_conversion_filters"
    )


_FILTER_WORDS = {"gamma22": "bt470m", "gamma28": "bt470bg"}
"""Transfers that ffmpeg's filter calls otherwise than its streams."""


def _tags(picture: Picture) -> tuple[str, str, str]:
    tags = (picture.matrix_tag, picture.primaries, picture.transfer)
    if "" in tags:
        raise EncodeError("a colour tag is missing", remedy="pass what delivery_picture gives")
    return tags


def _raw_frames(
    frames: Iterable[Frames | Planes], *, count: int, picture: Picture, where: str
) -> Iterator[bytes]:
    """Frames as ffmpeg's rawvideo, one block each."""
    done = 0
    for given in frames:
        for frame in given if isinstance(given, np.ndarray) and given.ndim == 4 else (given,):
            if done == count:
                raise EncodeError(f"expected {count} frames, got more", where=where)
            yield raw_frame(frame, picture)
            done += 1
    if done != count:
        raise EncodeError(f"expected {count} frames, got {done}", where=where)


def raw_frame(frame: Frames | Planes, picture: Picture) -> bytes:
    """The bytes of one frame, codes or the picture's planes, as ffmpeg's rawvideo of its format."""
    planes = frame if isinstance(frame, tuple) else planes_from_rgb(frame, picture)
    if picture.pix_fmt.startswith("bgr0"):
        blank = np.zeros_like(planes[0])
        return np.stack([planes[2], planes[1], planes[0], blank], axis=-1).tobytes()
    if picture.pix_fmt.startswith("gbrp"):
        planes = (planes[1], planes[2], planes[0])
    return b"".join(plane.tobytes() for plane in planes)


def _mark_full_range(segment: Path) -> None:
    """Say in the container that a segment's samples are full range, without touching a packet."""
    marked = segment.with_suffix(".range.mkv")
    try:
        source = ffmpeg.input(local_url(segment))
        options = {"c": "copy", "color_range": "pc", "f": "matroska", "fflags": "+bitexact"}
        run_ffmpeg(ffmpeg.output(source, local_url(marked), **options))
        os.replace(marked, segment)
    finally:
        marked.unlink(missing_ok=True)


def _inspect(segment: Path, *, count: int, where: str) -> tuple[Digest, int]:
    """(digest of the codec headers, delay), once every packet is where it must be."""
    with av.open(str(segment)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        headers = digest_bytes(bytes(stream.codec_context.extradata or b""))
        shown = [packet.pts for packet in packets]
        if sorted(at for at in shown if at is not None) != list(range(count)):
            raise EncodeError(
                f"expected packets for frames 0 to {count - 1}, got {len(packets)}", where=where
            )
        if not packets or not packets[0].is_keyframe or shown[0] != 0:
            raise EncodeError("the first packet is not keyframe 0", where=where)
        return headers, max(i - at for i, at in enumerate(shown) if at is not None)
