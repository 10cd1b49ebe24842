"""Planes are the decoder's samples, whatever the pixel format they were packed in."""

from __future__ import annotations

import av
import numpy as np
import pytest

from cluster.errors import InputError
from tasks.decode.planes import can_widen, has_alpha, planar_format, planes_of, widened

LOSSLESS = {
    "yuv420p": "yuv420p", "yuv410p": "yuv410p", "yuv440p": "yuv440p",
    "yuva420p": "yuv420p", "yuva422p10le": "yuv422p10le", "yuv420p10be": "yuv420p10le",
    "nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p", "nv24": "yuv444p", "nv42": "yuv444p",
    "nv20le": "yuv422p10le", "p010le": "yuv420p10le", "p010be": "yuv420p10le",
    "p012le": "yuv420p12le", "p016le": "yuv420p16le", "p210le": "yuv422p10le",
    "yuyv422": "yuv422p", "uyvy422": "yuv422p", "yvyu422": "yuv422p", "y210le": "yuv422p10le",
    "vuya": "yuv444p", "ayuv": "yuv444p", "uyva": "yuv444p", "vyu444": "yuv444p",
    "xv36le": "yuv444p12le", "ayuv64le": "yuv444p16le",
    "gray": "gray", "ya8": "gray", "gray10le": "gray10le", "gray16be": "gray16le",
    "ya16be": "gray16le",
    "rgb24": "gbrp", "bgr24": "gbrp", "rgba": "gbrp", "bgra": "gbrp", "argb": "gbrp",
    "abgr": "gbrp", "rgb0": "gbrp", "0bgr": "gbrp", "gbrap": "gbrp", "gbrp12le": "gbrp12le",
    "rgb48le": "gbrp16le", "rgb48be": "gbrp16le", "rgba64be": "gbrp16le", "x2rgb10le": "gbrp10le",
}  # fmt: skip


def noise(pix_fmt: str, *, width: int = 50, height: int = 38) -> av.VideoFrame:
    """A frame of random samples in a planar format."""
    frame = av.VideoFrame(width, height, pix_fmt)
    depth = max(part.bits for part in frame.format.components)
    random = np.random.default_rng(1)
    for plane in frame.planes:
        size = plane.buffer_size // (1 if depth == 8 else 2)
        samples = random.integers(0, 1 << depth, size)
        plane.update(samples.astype("u1" if depth == 8 else "<u2").tobytes())
    return frame


@pytest.mark.parametrize("coded", LOSSLESS)
def test_samples_survive_every_packing(coded: str) -> None:
    target = LOSSLESS[coded]
    assert planar_format(coded) == target
    # 64 wide: libswscale's threads write past the end of a row that is no multiple of 16 bytes,
    # now and then over the first pixels of the next thread's slice.
    frame = noise(target, width=64)
    expected = planes_of(frame)
    got = planes_of(frame.reformat(format=coded))
    assert [plane.shape for plane in got] == [plane.shape for plane in expected]
    assert all(map(np.array_equal, got, expected))
    assert not any(plane.flags.writeable for plane in got)


def test_rgb_comes_in_the_order_red_green_blue() -> None:
    pixels = np.zeros((4, 6, 3), np.uint8) + np.array([10, 20, 30], np.uint8)
    for coded in ("rgb24", "gbrp", "bgra"):
        frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=coded)
        assert [int(plane[0, 0]) for plane in planes_of(frame)] == [10, 20, 30]


def test_palette_is_looked_up() -> None:
    frame = av.VideoFrame(4, 2, "pal8")
    frame.planes[0].update(bytes([3] * frame.planes[0].buffer_size))
    palette = np.zeros((256, 4), np.uint8)
    palette[3] = (30, 20, 10, 255)
    frame.planes[1].update(palette.tobytes())
    assert [int(plane[1, 3]) for plane in planes_of(frame)] == [10, 20, 30]


@pytest.mark.parametrize(("coded", "lit"), [("monob", 255), ("monow", 0)])
def test_single_bits_become_grey(coded: str, lit: int) -> None:
    frame = av.VideoFrame(8, 1, coded)
    frame.planes[0].update(bytes([0b10000000]) + bytes(frame.planes[0].buffer_size - 1))
    (grey,) = planes_of(frame)
    assert grey[0, 0] == lit
    assert grey[0, 1] == 255 - lit


def test_linear_light_goes_through_the_srgb_curve() -> None:
    frame = av.VideoFrame(8, 1, "gbrpf32le")
    light = np.array([0, 0.001, 0.18, 0.5, 1, 7, -1, np.nan], "<f4")
    for plane in frame.planes:
        plane.update(np.resize(light, plane.buffer_size // 4).tobytes())
    red = planes_of(frame)[0][0] / 65535
    assert red == pytest.approx([0, 0.01292, 0.46136, 0.73536, 1, 1, 0, 0], abs=2e-5)


@pytest.mark.parametrize("coded", ["xyz12le", "bayer_rggb8", "rgb565le", "yuv444p10msble"])
def test_format_that_is_no_plain_picture_is_refused(coded: str) -> None:
    with pytest.raises(InputError, match=f"pixel format {coded} is not supported"):
        planar_format(coded)


def test_unknown_format_is_refused() -> None:
    with pytest.raises(InputError, match="unknown pixel format 'no_such'"):
        planar_format("no_such")


def test_alpha_is_known() -> None:
    assert has_alpha("rgba")
    assert has_alpha("pal8")
    assert not has_alpha("rgb24")


def test_grey_widens_to_colour_and_eight_bits_to_sixteen() -> None:
    frame = noise("gray")
    planes = planes_of(frame)
    wide = widened(planes, coded="gray", target="gbrp16le")
    assert len(wide) == 3
    assert np.array_equal(wide[1], planes[0].astype(np.uint16) * 257)
    assert widened(planes, coded="gray", target="gray")[0] is planes[0]


@pytest.mark.parametrize(
    ("coded", "target"), [("rgb24", "gray"), ("rgb48le", "gbrp"), ("yuv420p", "gbrp")]
)
def test_nothing_is_widened_with_loss(coded: str, target: str) -> None:
    assert not can_widen(coded, target)
    with pytest.raises(ValueError, match="does not fit"):
        widened((), coded=coded, target=target)
