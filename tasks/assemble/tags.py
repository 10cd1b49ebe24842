"""ffmpeg's names of colour tags and their code points (ITU-T H.273), and writing them."""

from __future__ import annotations

from av.video.codeccontext import VideoCodecContext

from tasks.frames.picture import Picture

MATRIX_CODES: dict[str, int] = {
    "gbr": 0, "rgb": 0, "bt709": 1, "fcc": 4, "bt470bg": 5, "smpte170m": 6, "smpte240m": 7,
    "ycgco": 8, "bt2020nc": 9, "bt2020c": 10, "smpte2085": 11, "chroma-derived-nc": 12,
    "chroma-derived-c": 13, "ictcp": 14,
}  # fmt: skip
PRIMARIES_CODES: dict[str, int] = {
    "bt709": 1, "bt470m": 4, "bt470bg": 5, "smpte170m": 6, "smpte240m": 7, "film": 8, "bt2020": 9,
    "smpte428": 10, "smpte431": 11, "smpte432": 12, "ebu3213": 22,
}  # fmt: skip
TRANSFER_CODES: dict[str, int] = {
    "bt709": 1, "gamma22": 4, "bt470m": 4, "gamma28": 5, "bt470bg": 5, "smpte170m": 6,
    "smpte240m": 7, "linear": 8, "log100": 9, "log316": 10, "iec61966-2-4": 11, "bt1361e": 12,
    "iec61966-2-1": 13, "bt2020-10": 14, "bt2020-12": 15, "smpte2084": 16, "smpte428": 17,
    "arib-std-b67": 18,
}  # fmt: skip
RANGE_CODES: dict[str, int] = {"limited": 1, "full": 2}


def write_tags(context: VideoCodecContext, picture: Picture) -> None:
    """Set the picture's colour tags on a stream to be muxed; an untagged one keeps what it has."""
    context.color_range = RANGE_CODES[picture.range]
    if picture.matrix_tag in MATRIX_CODES:
        context.colorspace = MATRIX_CODES[picture.matrix_tag]
    if picture.primaries in PRIMARIES_CODES:
        context.color_primaries = PRIMARIES_CODES[picture.primaries]
    if picture.transfer in TRANSFER_CODES:
        context.color_trc = TRANSFER_CODES[picture.transfer]
    context.sample_aspect_ratio = picture.sar
