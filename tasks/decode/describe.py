"""Translates what a container and its first frame say of colour, shape and streams."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal, cast

import av
from av.sidedata.sidedata import Type as SideDataType

from cluster.errors import InputError
from tasks.decode.logs import described
from tasks.decode.planes import has_alpha, planar_format
from tasks.decode.source import Chapter, StreamInfo
from tasks.frames.picture import Matrix, Picture, Range, Siting

# ITU-T H.273 code points under ffmpeg's names; 2 (unspecified) is "".
_MATRIX_TAGS = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco",
    9: "bt2020nc", 10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc",
    13: "chroma-derived-c", 14: "ictcp", 15: "ipt-c2", 16: "ycgco-re", 17: "ycgco-ro",
}  # fmt: skip
_PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film",
    9: "bt2020", 10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip
_TRANSFERS = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear",
    9: "log100", 10: "log316", 11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1",
    14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
_MATRICES: dict[str, Matrix] = {
    "bt709": "bt709", "fcc": "fcc", "bt470bg": "bt601", "smpte170m": "bt601",
    "smpte240m": "smpte240m", "bt2020nc": "bt2020nc",
}  # fmt: skip
_SITINGS = ("left", "center", "topleft", "top", "bottomleft", "bottom")


def picture_of(frame: av.VideoFrame, *, siting: Siting | None, sar: Fraction | None) -> Picture:
    """The picture of a source from its first frame, as coded (no rotation applied).

    `siting` None and unset tags are filled by the usual rules, each noted in `guessed`.
    InputError for a pixel format or matrix that conversion does not know.
    """
    coded = frame.format.name
    pix_fmt = planar_format(coded)
    kind = {"gb": "rgb", "gr": "grey"}.get(pix_fmt[:2], "yuv")
    notes: list[str] = []
    tag = _MATRIX_TAGS.get(int(frame.colorspace), "")
    primaries = _PRIMARIES.get(int(frame.color_primaries), "")
    transfer = _TRANSFERS.get(int(frame.color_trc), "")
    matrix = _matrix(tag, primaries, frame.width, frame.height, notes) if kind == "yuv" else "rgb"
    if coded.startswith(("gbrpf", "gbrapf")):
        notes.append("scene-linear light shown by the sRGB curve, clipped to [0, 1]")
        transfer = "iec61966-2-1"
    if has_alpha(coded):
        notes.append("alpha dropped")
    return Picture(
        width=frame.width,
        height=frame.height,
        pix_fmt=pix_fmt,
        depth=max(p.bits for p in av.VideoFormat(pix_fmt, 64, 64).components),
        sar=sar if sar else Fraction(1),
        matrix=matrix,
        range=_range(int(frame.color_range), coded, kind, notes),
        siting=_siting(siting, pix_fmt, notes),
        matrix_tag=tag,
        primaries=primaries,
        transfer=transfer,
        hdr=_hdr(frame, notes),
        guessed=tuple(notes),
    )


def siting_of(container: av.container.InputContainer, stream: int) -> Siting | None:
    """Where a stream's chroma samples sit, None where it does not say.

    PyAV has no accessor for it; libavformat's own description, at its verbose level, says it.
    """
    text = described(container)
    lines = [line for line in text.splitlines() if line.lstrip().startswith(f"Stream #0:{stream}")]
    words = lines[0].replace(")", ",").replace("(", ",").split(",") if lines else []
    found = [word.strip() for word in words if word.strip() in _SITINGS]
    return cast(Siting, found[0]) if found else None


def stream_infos(container: av.container.InputContainer) -> tuple[StreamInfo, ...]:
    """Every stream of the container, in its order."""
    return tuple(_stream_info(stream) for stream in container.streams)


def timecode_of(container: av.container.InputContainer, stream: int) -> str:
    """The timecode that the first frame has by the container: of the picture's stream, the whole
    file or a timecode track; empty where none is stated."""
    own = container.streams[stream].metadata
    said = (own, container.metadata, *(other.metadata for other in container.streams))
    found = (value for words in said for key, value in words.items() if key.lower() == "timecode")
    return next(found, "")


def chapters_of(container: av.container.InputContainer) -> tuple[Chapter, ...]:
    """The container's chapters in order."""
    return tuple(
        Chapter(
            start=chapter["start"] * Fraction(chapter["time_base"] or 1),
            end=chapter["end"] * Fraction(chapter["time_base"] or 1),
            title=chapter["metadata"].get("title", ""),
        )
        for chapter in container.chapters()
    )


def _matrix(tag: str, primaries: str, width: int, height: int, notes: list[str]) -> Matrix:
    if tag:
        if tag not in _MATRICES:
            raise InputError(
                f"colour matrix {tag} is not supported, expected one of {', '.join(_MATRICES)}",
                remedy="convert the source to one of them first",
            )
        return _MATRICES[tag]
    if primaries == "bt2020":
        notes.append("matrix untagged: bt2020nc, for its primaries are bt2020's")
        return "bt2020nc"
    rule = height >= 720 or width >= 1280
    notes.append(f"matrix untagged: {'bt709' if rule else 'bt601'} by size {width}x{height}")
    return "bt709" if rule else "bt601"


def _range(tag: int, coded: str, kind: str, notes: list[str]) -> Range:
    if coded.startswith("yuvj") or tag == 2:
        return "full"
    if tag == 1 and kind != "rgb":
        return "limited"
    if kind == "rgb":
        return "full"
    guess: Range = "limited" if kind == "yuv" else "full"
    notes.append(f"range untagged: {guess}")
    return guess


def _siting(told: Siting | None, pix_fmt: str, notes: list[str]) -> Siting:
    if told:
        return told
    if "420" not in pix_fmt:
        return "left"
    notes.append("chroma siting untagged: left")
    return "left"


def _hdr(frame: av.VideoFrame, notes: list[str]) -> str:
    try:
        side = cast(Mapping[Any, Any], frame.side_data)
    except ValueError:
        # PyAV refuses all of a frame's side data when it does not know one kind of it.
        if int(frame.color_trc) in (16, 18):
            notes.append("HDR side data unreadable")
        return ""
    mastering = side.get(SideDataType.MASTERING_DISPLAY_METADATA)
    light = side.get(SideDataType.CONTENT_LIGHT_LEVEL)
    parts = [_mastering(bytes(mastering))] if mastering is not None else []
    if light is not None:
        parts.append("max-cll={},{}".format(*struct.unpack_from("=2I", bytes(light))))
    return ":".join(part for part in parts if part)


def _mastering(data: bytes) -> str:
    """AVMasteringDisplayMetadata as x265 writes it: 1/50000 of xy, 1/10000 cd/m2."""
    numbers = struct.unpack_from("=20i2i", data)
    pairs = zip(numbers[0:20:2], numbers[1:20:2], strict=True)
    values = [Fraction(n, d) if d else Fraction(0) for n, d in pairs]
    has_primaries, has_light = numbers[20:]
    if not (has_primaries and has_light):
        return ""
    red, green, blue, white = (
        ",".join(str(round(v * 50000)) for v in values[at : at + 2]) for at in (0, 2, 4, 6)
    )
    low, high = (round(v * 10000) for v in values[8:10])
    return f"master-display=G({green})B({blue})R({red})WP({white})L({high},{low})"


def _stream_info(stream: Any) -> StreamInfo:
    base = Fraction(stream.time_base) if stream.time_base else None
    context: Any = getattr(stream, "codec_context", None)
    kind = stream.type if stream.type in ("video", "audio", "subtitle", "attachment") else "data"
    audio = context is not None and kind == "audio"
    return StreamInfo(
        index=stream.index,
        kind=cast(Literal["video", "audio", "subtitle", "attachment", "data"], kind),
        codec=codec_name(context),
        language=stream.language or "",
        title=stream.metadata.get("title", ""),
        default=bool(stream.disposition.value & 1),
        forced=bool(stream.disposition.value & 64),
        start=stream.start_time * base if base and stream.start_time is not None else None,
        duration=stream.duration * base if base and stream.duration is not None else None,
        time_base=base,
        sample_rate=context.sample_rate or 0 if audio else 0,
        channels=context.layout.nb_channels if audio else 0,
        layout=context.layout.name if audio else "",
        filename=stream.metadata.get("filename", ""),
        mimetype=stream.metadata.get("mimetype", ""),
    )


def codec_name(context: Any) -> str:
    """The codec's own name (`av1`, not the decoder's `libdav1d`); empty where libav knows none."""
    if context is None:
        return ""
    return getattr(context.codec, "canonical_name", "") or context.name or ""
