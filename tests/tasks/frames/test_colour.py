"""Planes to codes and back, and which picture a film is written as."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import av
import numpy as np
import pytest

from cluster.errors import InputError, UsageError
from tasks.frames.codes import BLACK, ONE, WHITE, code_step, from_uint8
from tasks.frames.colour import (
    Hdr,
    delivery_picture,
    layout_of,
    parse_hdr,
    planes_from_rgb,
    rgb_from_planes,
)
from tasks.frames.colour.delivery import HOLDS
from tasks.frames.colour.matrix import LUMA_WEIGHTS
from tasks.frames.colour.siting import downsample, upsample
from tasks.frames.picture import Picture, Siting

SITINGS: tuple[Siting, ...] = get_args(Siting)
PLANAR = ("yuv420p", "yuv422p", "yuv444p", "yuv440p")

# Where chroma sample 0 lies, in luma samples (across, down) of 4:2:0: ffmpeg's AVChromaLocation.
CHROMA_AT = {
    "left": (0, 0.5),
    "center": (0.5, 0.5),
    "topleft": (0, 0),
    "top": (0.5, 0),
    "bottomleft": (0, 1),
    "bottom": (0.5, 1),
}

# R = Y + a Cr, G = Y + b Cb + c Cr, B = Y + d Cb, as the standards print them: BT.601-7, BT.709-6,
# BT.2020-2; SMPTE 240M and FCC from their Kr and Kb.
PRINTED = {
    "bt601": (1.402, -0.344136, -0.714136, 1.772),
    "bt709": (1.5748, -0.187324, -0.468124, 1.8556),
    "bt2020nc": (1.4746, -0.164553, -0.571353, 1.8814),
    "smpte240m": (1.576, -0.226622, -0.476622, 1.826),
    "fcc": (1.4, -0.331864, -0.711864, 1.78),
}


def make_picture(pix_fmt: str, *, size: tuple[int, int] = (48, 32), **more: Any) -> Picture:
    depth = layout_of(pix_fmt).depth
    return Picture(width=size[0], height=size[1], pix_fmt=pix_fmt, depth=depth, **more)


def legal(picture: Picture) -> tuple[int, int, int]:
    """(least, greatest luma, greatest chroma) of the range; least chroma is least luma."""
    unit = 1 << (picture.depth - 8)
    full = (1 << picture.depth) - 1
    return (16 * unit, 235 * unit, 240 * unit) if picture.range == "limited" else (0, full, full)


def noise_planes(picture: Picture, *, seed: int) -> list[np.ndarray]:
    """Every sample at random anywhere in the legal range: no picture is worse."""
    rng = np.random.default_rng(seed)
    least, luma, chroma = legal(picture)
    shapes = layout_of(picture.pix_fmt).plane_shapes(width=picture.width, height=picture.height)
    dtype = np.uint8 if picture.depth == 8 else np.uint16
    return [
        rng.integers(least, (luma if i == 0 else chroma) + 1, shape, dtype=dtype)
        for i, shape in enumerate(shapes)
    ]


def ink_planes(picture: Picture) -> list[np.ndarray]:
    """One-pixel black ink between the most saturated paints: extremes side by side."""
    least, luma, chroma = legal(picture)
    planes = []
    for i, shape in enumerate(noise_planes(picture, seed=0)):
        rows, columns = np.indices(shape.shape)
        paint = (columns // 3 + rows // 5) % 2 == 0 if i else (columns + rows) % 7 != 0
        planes.append(np.where(paint, luma if i == 0 else chroma, least).astype(shape.dtype))
    return planes


def worst(a: Any, b: Any) -> list[int]:
    return [int(np.abs(x.astype(int) - y.astype(int)).max()) for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize("range_", ["limited", "full"])
@pytest.mark.parametrize("suffix", ["", "10le", "12le"])
@pytest.mark.parametrize("planar", PLANAR)
def test_planes_come_back_unchanged(planar: str, suffix: str, range_: str) -> None:
    """The contract is 1 for luma and 2 for chroma; the least-squares way down gives 0."""
    for matrix in LUMA_WEIGHTS:
        for siting in SITINGS:
            for size in ((48, 32), (33, 27), (2, 3), (1, 1)):
                picture = make_picture(
                    planar + suffix, size=size, matrix=matrix, range=range_, siting=siting
                )
                for planes in (noise_planes(picture, seed=1), ink_planes(picture)):
                    back = planes_from_rgb(rgb_from_planes(planes, picture), picture)
                    assert worst(back, planes) == [0, 0, 0], picture
                    assert {plane.dtype for plane in back} == {planes[0].dtype}


@pytest.mark.parametrize("pix_fmt", ["yuv411p", "yuv410p", "gray", "gray10le", "gbrp", "gbrp10le"])
@pytest.mark.parametrize("range_", ["limited", "full"])
def test_other_layouts_come_back_unchanged(pix_fmt: str, range_: str) -> None:
    for size in ((48, 32), (37, 27)):
        picture = make_picture(pix_fmt, size=size, matrix="bt601", range=range_)
        planes = noise_planes(picture, seed=2)
        back = planes_from_rgb(rgb_from_planes(planes, picture), picture)
        assert worst(back, planes) == [0] * len(planes)


def test_blacker_than_black_and_whiter_than_white_come_back() -> None:
    picture = make_picture("yuv420p")
    planes = [np.full(plane.shape, 128, np.uint8) for plane in noise_planes(picture, seed=0)]
    planes[0][:16], planes[0][16:] = 1, 254
    assert worst(planes_from_rgb(rgb_from_planes(planes, picture), picture), planes) == [0, 0, 0]


def test_codes_keep_what_no_rgb_could_hold() -> None:
    picture = make_picture("yuv420p")
    codes = rgb_from_planes(ink_planes(picture), picture)
    assert codes.min() < BLACK - ONE // 4
    assert codes.max() > WHITE + ONE // 4


@pytest.mark.parametrize("depth", [8, 10, 12])
@pytest.mark.parametrize("range_", ["limited", "full"])
@pytest.mark.parametrize("matrix", list(LUMA_WEIGHTS))
def test_codes_follow_the_printed_formula(matrix: str, range_: str, depth: int) -> None:
    picture = make_picture(
        "yuv444p" + ("" if depth == 8 else f"{depth}le"), matrix=matrix, range=range_
    )
    planes = noise_planes(picture, seed=3)
    y, cb, cr = (plane.astype(np.float64) for plane in planes)
    top = 2**depth - 1
    unit = 2 ** (depth - 8)
    if range_ == "limited":
        y, cb, cr = (y / unit - 16) / 219, (cb / unit - 128) / 224, (cr / unit - 128) / 224
    else:
        y, cb, cr = y / top, (cb - 2 ** (depth - 1)) / top, (cr - 2 ** (depth - 1)) / top
    a, b, c, d = PRINTED[matrix]
    exact = np.stack([y + a * cr, y + b * cb + c * cr, y + d * cb], axis=-1) * ONE + BLACK
    codes = rgb_from_planes(planes, picture)
    tenth_of_a_12_bit_code = 0.1 * ONE / 3504
    assert np.abs(codes - exact).max() <= code_step(depth) / 2 + tenth_of_a_12_bit_code
    assert not (codes.astype(int) - BLACK).__and__(code_step(depth) - 1).any()


@pytest.mark.parametrize(("matrix", "colorspace"), [("bt601", 5), ("bt709", 1), ("bt2020nc", 9)])
def test_codes_agree_with_swscale(matrix: str, colorspace: int) -> None:
    """Smooth colour, so that swscale's own chroma filter and 8-bit rounding stay small."""
    picture = make_picture("yuv444p", size=(64, 48), matrix=matrix)
    rows, columns = np.indices((48, 64))
    planes = [
        np.asarray(60 + columns + rows, np.uint8),
        np.asarray(128 + 20 * np.sin(columns / 9), np.uint8),
        np.asarray(128 + 20 * np.cos(rows / 9), np.uint8),
    ]
    frame = av.VideoFrame.from_ndarray(np.stack(planes), format="yuv444p", channel_last=False)
    theirs: Any = frame.reformat(
        format="rgb24", src_colorspace=colorspace, interpolation="ACCURATE_RND"
    ).to_ndarray()
    ours = rgb_from_planes(planes, picture)
    assert np.abs(ours.astype(int) - from_uint8(theirs).astype(int)).max() <= 1.5 * ONE / 255


@pytest.mark.parametrize("siting", SITINGS)
@pytest.mark.parametrize("shape", [(32, 48), (31, 47)])
def test_a_chroma_ramp_stays_where_it_is(siting: Siting, shape: tuple[int, int]) -> None:
    across, down = CHROMA_AT[siting]
    rows, columns = np.indices((-(-shape[0] // 2), -(-shape[1] // 2)))
    chroma = (3.0 * (2 * columns + across) + 5.0 * (2 * rows + down)).astype(np.float32)
    luma_rows, luma_columns = np.indices(shape)
    expected = 3.0 * luma_columns + 5.0 * luma_rows
    inside = np.s_[2:-2, 2:-2]
    up = upsample(chroma, shape=shape, sub=(2, 2), siting=siting)
    np.testing.assert_allclose(up[inside], expected[inside], atol=1e-3)
    ramp = expected.astype(np.float32)
    # The held border bends what U can make; seven samples in, (1/3)^7 of that is left.
    deep = np.s_[7:-7, 7:-7]
    small = downsample(ramp, sub=(2, 2), siting=siting)
    np.testing.assert_allclose(small[deep], chroma[deep], atol=0.02)


def test_way_down_is_the_least_squares_solution() -> None:
    """On what U cannot make, D is numpy's pseudo-inverse of the same U."""
    rng = np.random.default_rng(4)
    full = rng.normal(size=(21, 30)).astype(np.float32)
    for siting in SITINGS:
        units = np.eye(15, dtype=np.float32)[:, None, :]
        up_across = np.stack(
            [upsample(u, shape=(1, 30), sub=(1, 2), siting=siting)[0] for u in units], axis=1
        )
        units = np.eye(11, dtype=np.float32)[:, :, None]
        up_down = np.stack(
            [upsample(u, shape=(21, 1), sub=(2, 1), siting=siting)[:, 0] for u in units], axis=1
        )
        expected = np.linalg.pinv(up_down) @ full @ np.linalg.pinv(up_across).T
        made = downsample(full, sub=(2, 2), siting=siting)
        np.testing.assert_allclose(made, expected, atol=1e-4)


def test_rgb_planes_are_red_green_blue() -> None:
    picture = make_picture("rgb24", size=(1, 1), matrix="rgb", range="full")
    planes = [np.array([[value]], np.uint8) for value in (255, 128, 0)]
    assert (rgb_from_planes(planes, picture) == from_uint8(np.array([[[255, 128, 0]]]))).all()


def test_grey_gets_the_luma_of_a_coloured_frame() -> None:
    picture = make_picture("gray", size=(1, 1), matrix="bt709", range="full")
    (grey,) = planes_from_rgb(from_uint8(np.array([[[255, 0, 0]]])), picture)
    assert grey[0, 0] == round(0.2126 * 255)


def test_the_given_frame_is_not_written_to() -> None:
    picture = make_picture("yuv420p")
    planes = noise_planes(picture, seed=5)
    for plane in planes:
        plane.flags.writeable = False
    codes = rgb_from_planes(planes, picture)
    codes.flags.writeable = False
    planes_from_rgb(codes, picture)


def test_a_row_depends_on_no_row_far_from_it() -> None:
    """To the last bit, however a picture is cut to be converted: sixteen bits tell."""
    picture = make_picture("yuv444p16le", size=(33, 600))
    frame = np.random.default_rng(1).integers(0, 65536, (600, 33, 3)).astype(np.uint16)
    whole = planes_from_rgb(frame, picture)
    for start in range(1, 16):
        part = planes_from_rgb(frame[start:], replace(picture, height=600 - start))
        for plane, rest in zip(whole, part, strict=True):
            assert np.array_equal(plane[start:-2], rest[:-2])


def test_planes_of_another_size_are_refused() -> None:
    picture = make_picture("yuv420p")
    planes = noise_planes(replace(picture, width=50), seed=0)
    with pytest.raises(InputError, match=r"expected yuv420p planes of .*\(16, 24\)"):
        rgb_from_planes(planes, picture)
    with pytest.raises(InputError, match=r"expected a frame of \(32, 48, 3\)"):
        planes_from_rgb(np.zeros((32, 50, 3), np.uint16), picture)
    with pytest.raises(InputError, match="unknown pixel format"):
        layout_of("yuv421p")
    with pytest.raises(InputError, match="matrix 'rgb'"):
        rgb_from_planes(noise_planes(picture, seed=0), replace(picture, matrix="rgb"))


# -- delivery ------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", list(HOLDS))
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv422p10le", "yuv444p"])
def test_delivery_keeps_what_the_encoder_can_hold(encoder: Any, pix_fmt: str) -> None:
    source = make_picture(pix_fmt, size=(96, 64), matrix="bt601", range="limited", siting="left")
    made = delivery_picture(source, pix_fmt=None, encoder=encoder)
    if pix_fmt in HOLDS[encoder].pix_fmts():
        assert (made.pix_fmt, made.depth) == (pix_fmt, source.depth)
    assert (made.matrix, made.range, made.siting) == ("bt601", "limited", "left")
    assert (made.width, made.height) == (96, 64)
    assert made.pix_fmt in HOLDS[encoder].pix_fmts()


@pytest.mark.parametrize(
    ("encoder", "source", "expected"),
    [
        ("prores", "yuv420p", "yuv422p10le"),
        ("prores", "yuv444p12le", "yuv444p10le"),
        ("libsvtav1", "yuv444p12le", "yuv420p10le"),
        ("libx264", "yuv440p", "yuv444p"),
        ("libx264", "yuv411p", "yuv422p"),
        ("libx264", "yuv420p12le", "yuv420p10le"),
        ("libx265", "yuv420p12le", "yuv420p12le"),
        ("libx264", "rgb24", "yuv420p"),
        ("libx265", "rgb48le", "yuv420p12le"),
        ("libsvtav1", "pal8", "yuv420p"),
        ("prores", "rgba", "yuv444p10le"),
        ("ffv1", "rgb24", "bgr0"),
        ("ffv1", "gbrp10le", "gbrp10le"),
        ("libx264", "gray", "yuv420p"),
        ("ffv1", "gray10le", "yuv444p10le"),
        ("ffv1", "yuvj420p", "yuv420p"),
        ("libx264", "nv12", "yuv420p"),
    ],
)
def test_delivery_goes_to_the_nearest_richer_format(
    encoder: Any, source: str, expected: str
) -> None:
    picture = make_picture(source, size=(96, 64))
    assert delivery_picture(picture, pix_fmt=None, encoder=encoder).pix_fmt == expected


def test_delivery_of_rgb_is_bt709_limited_unless_it_stays_rgb() -> None:
    source = make_picture("rgb24", size=(96, 64), matrix="rgb", range="full")
    film = delivery_picture(source, pix_fmt=None, encoder="libx264")
    assert (film.matrix, film.range, film.matrix_tag) == ("bt709", "limited", "bt709")
    kept = delivery_picture(source, pix_fmt=None, encoder="ffv1")
    assert (kept.matrix, kept.range, kept.matrix_tag) == ("rgb", "full", "gbr")


def test_delivery_fills_every_tag_and_keeps_the_sources() -> None:
    bare = make_picture("yuv420p", size=(720, 576), matrix="bt601")
    made = delivery_picture(bare, pix_fmt=None, encoder="libx264")
    assert (made.matrix_tag, made.primaries, made.transfer) == ("bt470bg", "bt470bg", "smpte170m")
    told = replace(bare, matrix_tag="smpte170m", primaries="bt709", transfer="bt709")
    made = delivery_picture(told, pix_fmt=None, encoder="libx264")
    assert (made.matrix_tag, made.primaries, made.transfer) == ("smpte170m", "bt709", "bt709")


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_delivery_keeps_an_odd_size_by_giving_chroma_more(encoder: Any) -> None:
    picture = make_picture("yuv420p", size=(853, 480))
    assert delivery_picture(picture, pix_fmt=None, encoder=encoder).pix_fmt == "yuv444p"
    tall = make_picture("yuv420p", size=(854, 481))
    assert delivery_picture(tall, pix_fmt=None, encoder=encoder).pix_fmt == "yuv422p"
    with pytest.raises(UsageError, match=r"odd size 853x480.*yuv444p"):
        delivery_picture(picture, pix_fmt="yuv420p", encoder=encoder)
    assert delivery_picture(picture, pix_fmt=None, encoder="libsvtav1").pix_fmt == "yuv420p"


def test_delivery_names_a_siting_and_range_the_stream_can_carry() -> None:
    picture = make_picture("yuv420p", size=(96, 64), siting="center", range="full")
    assert delivery_picture(picture, pix_fmt=None, encoder="libx264").siting == "center"
    assert delivery_picture(picture, pix_fmt=None, encoder="ffv1").siting == "center"
    assert delivery_picture(picture, pix_fmt=None, encoder="libsvtav1").siting == "left"
    prores = delivery_picture(picture, pix_fmt=None, encoder="prores")
    assert (prores.siting, prores.range) == ("left", "limited")


def test_delivery_refuses_what_the_encoder_cannot_do_and_names_what_it_can() -> None:
    picture = make_picture("yuv420p", size=(96, 64))
    with pytest.raises(UsageError, match=r"libsvtav1 does not write yuv444p.*yuv420p10le"):
        delivery_picture(picture, pix_fmt="yuv444p", encoder="libsvtav1")
    with pytest.raises(UsageError, match="libx265 needs at least 64x64"):
        delivery_picture(make_picture("yuv420p"), pix_fmt=None, encoder="libx265")


def test_hdr_text_reads_back_and_speaks_each_encoders_words() -> None:
    mastering = (13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450, 10000000, 50)
    hdr = Hdr(mastering=mastering, light=(1000, 400))
    assert parse_hdr(hdr.text()) == hdr
    assert parse_hdr("") == Hdr()
    assert "G(0.26500,0.69000)" in hdr.svtav1_params()
    assert "L(1000.0000,0.0050):content-light=1000,400" in hdr.svtav1_params()
    with pytest.raises(InputError, match="HDR side data"):
        parse_hdr("bright")
