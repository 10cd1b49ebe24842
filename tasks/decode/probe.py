"""Opens a file as video, or says in one line why it is not one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from cluster.errors import InputError, os_reason

_TEXT_FORMATS = ("tty", "bin", "xbin", "adf", "idf")
"""Demuxers that would draw a text file as pictures."""
_LIST_FORMATS = frozenset(
    ("hls", "applehttp", "concat", "concatf", "dash", "webm_dash_manifest", "imf", "sdp", "rtsp",
     "rtp", "avisynth", "vapoursynth", "lavfi")
)  # fmt: skip
"""Demuxers of lists and scripts: what they show lies in other files, which no digest covers."""
_NEXT = "name a video file, or a folder of numbered frames with --fps"


@contextmanager
def opened(path: str) -> Iterator[av.container.InputContainer]:
    """The container of a file, closed at the end. InputError says what is wrong with the file.

    Nothing outside the file is read: a playlist that names other files or hosts is refused.
    """
    container = open_container(path)
    try:
        yield container
    finally:
        container.close()


def open_container(path: str) -> av.container.InputContainer:
    """As `opened`; the caller closes it, and must not touch its streams afterwards (libav crashes).

    `path` is made absolute, so that no part of a name reads as a protocol.
    """
    file = Path(path).absolute()
    _check_file(file, path)
    try:
        container = av.open(
            str(file),
            metadata_errors="replace",
            options={
                "protocol_whitelist": "file",
                "err_detect": "crccheck",
                "pattern_type": "none",
            },
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise InputError(
            f"is not a video that can be read ({reason(error)})", where=path, remedy=_NEXT
        ) from error
    if not _LIST_FORMATS.isdisjoint(container.format.name.split(",")):
        container.close()
        raise InputError("is a list of other files, not a video", where=path, remedy=_NEXT)
    if container.format.name in _TEXT_FORMATS:
        container.close()
        raise InputError("is text, not a video", where=path, remedy=_NEXT)
    return container


def video_stream(container: av.container.InputContainer, *, path: str) -> av.VideoStream:
    """The stream to show: libav's best choice, never a cover picture. InputError: there is none."""
    pictures = [s for s in container.streams.video if not _is_cover(s)]
    if not pictures:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "no streams"
        cover = " and a cover picture" if container.streams.video else ""
        found = f"{kinds.replace('video, ', '').replace(', video', '')}{cover}"
        raise InputError(f"holds no video, only {found}", where=path, remedy=_NEXT)
    best = container.streams.best("video")
    chosen = best if best is not None and any(best.index == s.index for s in pictures) else None
    stream = chosen or pictures[0]
    if stream.codec_context is None:
        raise InputError(
            "its video codec is not known to libav",
            where=path,
            remedy="convert the film first, or fetch it again if it should be a usual one",
        )
    return stream  # type: ignore[return-value]


def is_last(packet: av.Packet[av.VideoStream]) -> bool:
    """Whether a packet is the empty one after all others, which asks a decoder for what it kept."""
    return not packet.size and packet.pts is None and packet.dts is None


def decoded(packet: av.Packet[av.VideoStream]) -> list[av.VideoFrame]:
    """The frames that a packet gives: none where it is empty, for then the one before stays
    (Theora, section 7.11 of its specification; any codec in an AVI). libav's decoders refuse it."""
    return packet.decode() if packet.size or is_last(packet) else []


def reason(error: Exception) -> str:
    """libav's own words for an error, short: the log line it gave, else the error's text."""
    log = getattr(error, "log", None)
    text = log[2] if log else getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()).rstrip(".").lower()


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _check_file(file: Path, path: str) -> None:
    if not file.exists():
        raise InputError("no such file", where=path, remedy="check the path")
    if not file.is_file():
        raise InputError("is not a file", where=path, remedy=_NEXT)
    try:
        size = file.stat().st_size
    except OSError as error:
        raise InputError(f"cannot be read: {os_reason(error)}", where=path) from error
    if size == 0:
        raise InputError("is empty (0 bytes)", where=path, remedy="fetch or export it again")
