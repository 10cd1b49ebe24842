"""Chooses the picture format of a film: the source's own wherever the encoder can hold it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from cluster.errors import UsageError
from tasks.frames.colour.layout import Layout, layout_of
from tasks.frames.picture import Matrix, Picture, Siting

Encoder = Literal["libx264", "libx265", "libsvtav1", "prores", "ffv1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """What an encoder of the bundled ffmpeg can hold.

    `subsampled` maps luma samples per chroma sample (across, down) to the depths on offer, `rgb`
    depths to pixel formats. `whole_units`: it refuses sizes that chroma does not divide (libx264,
    libx265). `side_min`: shortest edge in pixels. `sitings` are those its stream or the Matroska
    segment can name.
    """

    subsampled: dict[tuple[int, int], tuple[int, ...]]
    rgb: dict[int, str]
    whole_units: bool = False
    side_min: int = 1
    full_range: bool = True
    sitings: tuple[Siting, ...] = get_args(Siting)

    def pix_fmts(self) -> tuple[str, ...]:
        """Every pixel format douga writes with it, by ffmpeg's names."""
        planar = [
            yuv_name(sub, depth) for sub, depths in self.subsampled.items() for depth in depths
        ]
        return (*planar, *dict.fromkeys(self.rgb.values()))


HOLDS: dict[Encoder, Holds] = {
    "libx264": Holds(
        subsampled={(2, 2): (8, 10), (2, 1): (8, 10), (1, 1): (8, 10)}, rgb={}, whole_units=True
    ),
    # Below 64 x 64 this x265 (4.x in ffmpeg 9.0.2) writes past its buffers: seen with
    # libc_malloc_debug at 32x32, 34x18 and 48x32, whatever the CTU; 64x64 and more are clean.
    "libx265": Holds(
        subsampled={(2, 2): (8, 10, 12), (2, 1): (8, 10, 12), (1, 1): (8, 10, 12)},
        rgb={8: "gbrp", 10: "gbrp10le", 12: "gbrp12le"},
        whole_units=True,
        side_min=64,
    ),
    # AV1 names two chroma positions: "vertical" and "colocated" (AV1 specification, 6.4.2).
    "libsvtav1": Holds(
        subsampled={(2, 2): (8, 10)}, rgb={}, side_min=4, sitings=("left", "topleft")
    ),
    "prores": Holds(subsampled={(2, 1): (10,), (1, 1): (10,)}, rgb={}, full_range=False),
    "ffv1": Holds(
        subsampled={
            (2, 2): (8, 9, 10, 12, 14, 16),
            (2, 1): (8, 9, 10, 12, 14, 16),
            (1, 1): (8, 9, 10, 12, 14, 16),
            (1, 2): (8, 10, 12),
            (4, 1): (8,),
            (4, 4): (8,),
        },
        rgb={
            8: "bgr0",
            9: "gbrp9le",
            10: "gbrp10le",
            12: "gbrp12le",
            14: "gbrp14le",
            16: "gbrp16le",
        },
        sitings=("left", "center", "topleft", "top"),  # what Matroska names
    ),
}

_RICHER: tuple[tuple[int, int], ...] = ((2, 2), (2, 1), (1, 1))
"""Where to go, in this order, when an encoder lacks the source's subsampling."""

_NAMES: dict[tuple[int, int], str] = {
    (2, 2): "yuv420p",
    (2, 1): "yuv422p",
    (1, 1): "yuv444p",
    (1, 2): "yuv440p",
    (4, 1): "yuv411p",
    (4, 4): "yuv410p",
}


def yuv_name(sub: tuple[int, int], depth: int) -> str:
    """ffmpeg's name of a planar Y'CbCr format; `sub` is luma samples per chroma (across, down)."""
    return _NAMES[sub] + ("" if depth == 8 else f"{depth}le")


def delivery_picture(picture: Picture, *, pix_fmt: str | None, encoder: Encoder) -> Picture:
    """The picture that `encoder` writes for frames described by `picture`; pure.

    Without `pix_fmt` the source's subsampling, depth, matrix, range and siting are kept where the
    encoder can hold them; else the next richer subsampling (poorer only for SVT-AV1, which has
    4:2:0 alone), the next greater depth (the greatest where there is none), limited range for
    ProRes, siting "left". RGB sources become 4:2:0 bt709 limited for libx264, libx265 and
    SVT-AV1, 4:4:4 for ProRes, and stay RGB for ffv1. Grey ones get chroma, for a stage may have
    coloured them. libx264 and libx265 refuse a width or height that chroma does not divide; a film
    keeps its size to the pixel, so it is written 4:2:2 or 4:4:4 then. Tags are always explicit: the
    source's, else what conversion used. UsageError names what the encoder can do when it cannot
    do what was asked.
    """
    holds = HOLDS[encoder]
    if min(picture.width, picture.height) < holds.side_min:
        raise UsageError(
            f"{encoder} needs at least {holds.side_min}x{holds.side_min} pixels, "
            f"got {picture.width}x{picture.height}",
            remedy="choose libx264 or ffv1",
        )
    source = layout_of(picture.pix_fmt)
    if pix_fmt is None:
        pix_fmt = _chosen(source, picture, encoder)
    target = _checked(pix_fmt, picture, encoder)
    written = replace(picture, pix_fmt=pix_fmt, depth=target.depth)
    if target.kind == "rgb":
        return _tagged(replace(written, matrix="rgb", matrix_tag="gbr", range="full"))
    if source.kind == "rgb":
        written = replace(written, range="limited")
    if picture.matrix == "rgb" or source.kind == "rgb":
        written = replace(written, matrix=_matrix_of(picture), matrix_tag="", siting="left")
    if not holds.full_range:
        written = replace(written, range="limited")
    same_chroma = (source.sub_x, source.sub_y) == (target.sub_x, target.sub_y)
    if not same_chroma or written.siting not in holds.sitings:
        written = replace(written, siting="left")
    return _tagged(written)


def _chosen(source: Layout, picture: Picture, encoder: Encoder) -> str:
    holds = HOLDS[encoder]
    if source.kind == "rgb" and holds.rgb and encoder == "ffv1":
        return holds.rgb[_depth(source.depth, tuple(holds.rgb))]
    richest_first = encoder in ("prores", "ffv1")
    wanted = (source.sub_x, source.sub_y)
    if source.kind == "rgb":
        wanted = (1, 1) if richest_first else (2, 2)
    elif source.kind == "grey":
        wanted = (1, 1) if encoder == "ffv1" else (2, 2)
    candidates = [wanted, *(sub for sub in _RICHER if sub[0] <= wanted[0] and sub[1] <= wanted[1])]
    for sub in (*candidates, *_RICHER):
        if sub in holds.subsampled and _divides(sub, picture, holds):
            depths = holds.subsampled[sub]
            return yuv_name(sub, _depth(source.depth, depths))
    raise UsageError(f"{encoder} cannot hold {picture.pix_fmt} at {_size(picture)}")


def _checked(pix_fmt: str, picture: Picture, encoder: Encoder) -> Layout:
    holds = HOLDS[encoder]
    if pix_fmt not in holds.pix_fmts():
        raise UsageError(
            f"{encoder} does not write {pix_fmt}",
            remedy=f"it writes {', '.join(holds.pix_fmts())}",
        )
    layout = layout_of(pix_fmt)
    if not _divides((layout.sub_x, layout.sub_y), picture, holds):
        fitting = [
            name
            for name in holds.pix_fmts()
            if _divides((layout_of(name).sub_x, layout_of(name).sub_y), picture, holds)
        ]
        raise UsageError(
            f"{encoder} does not write {pix_fmt} at the odd size {_size(picture)}",
            remedy=f"at this size it writes {', '.join(fitting)}",
        )
    return layout


def _divides(sub: tuple[int, int], picture: Picture, holds: Holds) -> bool:
    return not holds.whole_units or (picture.width % sub[0] == 0 and picture.height % sub[1] == 0)


def _depth(wanted: int, depths: tuple[int, ...]) -> int:
    return min((depth for depth in depths if depth >= wanted), default=max(depths))


def _matrix_of(picture: Picture) -> Matrix:
    """The matrix for R'G'B' without one: bt2020's for its primaries, else bt709's."""
    return "bt2020nc" if picture.primaries == "bt2020" else "bt709"


def _size(picture: Picture) -> str:
    return f"{picture.width}x{picture.height}"


def _tagged(picture: Picture) -> Picture:
    """Every tag filled: the source's own, else those that go with the matrix in use."""
    matrix_tag, primaries, transfer = _TAGS[picture.matrix]
    if picture.matrix == "bt601" and picture.height in (288, 576):
        matrix_tag, primaries = "bt470bg", "bt470bg"
    if picture.matrix == "bt2020nc" and picture.depth > 10:
        transfer = "bt2020-12"
    return replace(
        picture,
        matrix_tag=picture.matrix_tag or matrix_tag,
        primaries=picture.primaries or primaries,
        transfer=picture.transfer or transfer,
    )


_TAGS: dict[Matrix, tuple[str, str, str]] = {
    "rgb": ("gbr", "bt709", "iec61966-2-1"),
    "bt601": ("smpte170m", "smpte170m", "smpte170m"),
    "bt709": ("bt709", "bt709", "bt709"),
    "bt2020nc": ("bt2020nc", "bt2020", "bt2020-10"),
    "smpte240m": ("smpte240m", "smpte240m", "smpte240m"),
    "fcc": ("fcc", "bt470m", "bt470m"),
}
"""matrix, primaries, transfer: what ITU-T H.273 lists together with each matrix."""
