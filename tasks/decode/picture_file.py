"""One picture in one file: its header, its decoded frame."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av

from cluster.errors import InputError
from cluster.files import open_plain
from cluster.keys import digest_bytes
from tasks.decode.damage import error_detection
from tasks.decode.describe import codec_name, siting_of
from tasks.decode.heartbeat import heartbeat
from tasks.decode.probe import reason
from tasks.decode.unchanged import changed
from tasks.frames.picture import Siting


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a picture file's header says."""

    width: int
    height: int
    coded_format: str
    codec: str
    siting: Siting | None
    sar: Fraction | None


def read_header(file: Path) -> Header:
    """The header of a picture file. InputError if it is not a picture."""
    with _opened(file) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        if not context.width or not context.pix_fmt:
            raise InputError(
                "is not a picture that can be read",
                where=str(file),
                remedy="export this frame again",
            )
        return Header(
            width=context.width,
            height=context.height,
            coded_format=context.pix_fmt,
            codec=codec_name(context),
            siting=siting_of(container, stream.index) if "420" in context.pix_fmt else None,
            sar=stream.sample_aspect_ratio,
        )


def decode_picture(file: Path, *, digest: str = "") -> av.VideoFrame:
    """A picture file's frame, as its decoder gives it. InputError if any of it is damaged, or if
    the file is not the one of that `digest` ("" for any)."""
    with _opened(file, digest=digest) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        options = {"err_detect": error_detection(codec_name(stream.codec_context))}
        stream.codec_context.options = options
        try:
            frame = next(container.decode(stream), None)
        except (av.error.FFmpegError, OSError) as error:
            raise _damaged(file, reason(error)) from error
        if frame is None or frame.is_corrupt:
            raise _damaged(file, "incomplete")
        return frame


def _opened(file: Path, *, digest: str = "") -> av.container.InputContainer:
    heartbeat()
    # From memory: libav then looks at what the file is, not at what its name could be a pattern of.
    try:
        with open_plain(file) as plain:
            data = plain.read()
        if digest and digest_bytes(data) != digest:
            raise changed(str(file))
        return av.open(BytesIO(data), mode="r")
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(
            f"is not a picture that can be read ({reason(error)})",
            where=str(file),
            remedy="export this frame again",
        ) from error


def _damaged(file: Path, why: str) -> InputError:
    return InputError(
        f"cannot be decoded ({why})", where=str(file), remedy="export this frame again"
    )
