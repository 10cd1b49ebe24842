"""Scans a stream's packets once, without decoding: which frames there are and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import av

from cluster.errors import InputError
from tasks.decode.describe import codec_name
from tasks.decode.gif_blocks import walk_gif
from tasks.decode.heartbeat import heartbeat
from tasks.decode.probe import is_last, reason
from tasks.decode.recovery import is_hidden, starts_clean

# Containers that store no presentation times; libav makes some up.
UNTIMED = frozenset(
    ("avi", "h264", "hevc", "vvc", "evc", "obu", "m4v", "mpegvideo", "vc1", "dirac", "h263",
     "mjpeg", "rawvideo", "cavsvideo", "avs2", "avs3")
)  # fmt: skip
PACKED = ("mpeg", "mpegts")
"""Containers that may put several frames into one timed packet: libav then interpolates times, and
not the same ones after a seek. Such frames have no position."""
_HARMLESS = ("Referenced QT chapter track not found",)
"""Demuxer errors after which every picture is there."""
_REFETCH = "fetch or export the file again, or remux what is left: ffmpeg -i FILE -c copy NEW.mkv"


@dataclass(frozen=True, slots=True)
class Entry:
    """A packet, its times in ticks; `duration` 0 and `dts`, `pos` None where not stated."""

    pts: int
    dts: int | None
    pos: int | None
    duration: int


@dataclass(slots=True)
class Scan:
    """What a pass over the packets found, in decode order.

    `shown` are packets that show a frame, `clean` key frames that decoding may start at (shown or
    not: an edit list hides some), `first_key` the pts of the first that is flagged as one. `timed`
    is False where frames have no timestamps, or none that tell them apart. `empty` are packets of
    no bytes: the frame before stays for their time, too. `is_recording`: the container is one that
    is recorded from the middle of a broadcast.
    """

    shown: list[Entry] = field(default_factory=list)
    clean: list[Entry] = field(default_factory=list)
    first_key: int | None = None
    timed: bool = True
    empty: list[Entry] = field(default_factory=list)
    is_recording: bool = False

    @property
    def is_in_order(self) -> bool:
        """Whether the frames' times ascend in the order in which the file holds them."""
        return all(a.pts < b.pts for a, b in pairwise(self.shown))


def scan_packets(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    *,
    path: str,
    heard: Sequence[tuple[int, str, str]],
) -> Scan:
    """All packets of `stream` that show a frame; edit lists' and other discarded ones left out.

    `heard` is what `heard_errors` hears since before the container was opened: opening reads ahead.
    InputError, naming the place, where the demuxer met damage: it would pass over it in silence,
    and the film would be shorter.
    """
    scan = Scan(timed=_is_timed(container, stream), is_recording=container.format.name in PACKED)
    codec = codec_name(stream.codec_context)
    may_start = _start_rule(stream, codec)
    for packet in _demuxed(container, stream, path, scan):
        heartbeat()
        said = [text for _, component, text in heard if component == container.format.name]
        said = [text for text in said if not text.startswith(_HARMLESS)]
        if said or (packet.is_corrupt and scan.shown):
            raise _damaged(said, packet, path, scan)
        if is_last(packet):
            continue
        pts = packet.pts if packet.pts is not None or packet.size else packet.dts
        entry = Entry(pts or 0, packet.dts, _position(packet), packet.duration or 0)
        if not packet.size:
            scan.empty.append(entry)
            continue
        if packet.pts is None or packet.has_sidedata("new_extradata"):
            scan.timed = False
        if packet.is_keyframe:
            scan.first_key = entry.pts if scan.first_key is None else scan.first_key
            if may_start(packet):
                scan.clean.append(entry)
        if not packet.is_discard and not is_hidden(memoryview(packet), codec=codec):
            scan.shown.append(entry)
    doubled = len({entry.pts for entry in scan.shown}) != len(scan.shown)
    if doubled or (container.format.name in PACKED and any(e.pos is None for e in scan.shown)):
        scan.timed = False
    if container.format.name == "gif":
        _check_gif(path, scan)
    return scan


def _check_gif(path: str, scan: Scan) -> None:
    with Path(path).open("rb") as file:
        whole, why = walk_gif(file)
    if not why and whole != len(scan.shown):
        why = f"only {len(scan.shown)} of its {whole} pictures can be found"
    if why:
        raise InputError(
            f"is damaged after {min(whole, len(scan.shown))} whole frames ({why})",
            where=path,
            remedy=_REFETCH,
        )


def _start_rule(stream: av.VideoStream, codec: str) -> Callable[[av.Packet[av.VideoStream]], bool]:
    if stream.codec_context.codec.intra_only:
        return lambda packet: True
    extradata = bytes(stream.codec_context.extradata or b"")
    return lambda packet: starts_clean(bytes(packet), codec=codec, extradata=extradata)


def _is_timed(container: av.container.InputContainer, stream: av.VideoStream) -> bool:
    if container.format.name not in UNTIMED:
        return True
    # Without B-frames the storing order is the showing order, and AVI's count is the time.
    return container.format.name == "avi" and bool(stream.codec_context.codec.intra_only)


def _position(packet: av.Packet[av.VideoStream]) -> int | None:
    return packet.pos if packet.pos is not None and packet.pos >= 0 else None


def _demuxed(
    container: av.container.InputContainer, stream: av.VideoStream, path: str, scan: Scan
) -> Iterator[av.Packet[av.VideoStream]]:
    """Every packet, and the empty one at the end."""
    try:
        yield from container.demux(stream)
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(
            f"is damaged after {len(scan.shown)} whole frames ({reason(error)})",
            where=path,
            remedy=_REFETCH,
        ) from error


def _damaged(
    said: list[str], packet: av.Packet[av.VideoStream], path: str, scan: Scan
) -> InputError:
    why = " ".join(said[0].split()) if said else "a packet is incomplete"
    base = packet.time_base
    near = f", near {float(packet.pts * base):.3f} s" if packet.pts is not None and base else ""
    return InputError(
        f"is damaged after {len(scan.shown)} whole frames{near} ({why.rstrip('.').lower()})",
        where=path,
        remedy=_REFETCH,
    )
