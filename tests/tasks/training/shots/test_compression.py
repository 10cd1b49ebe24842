"""JPEG as libjpeg does it, H.264 as x264 does it, in memory."""

import cv2
import numpy as np
import pytest
import torch

from tasks.training.shots.compression import (
    BT601,
    BT709,
    LUMA_TABLE,
    double_chroma,
    h264,
    halve_chroma,
    jpeg,
    quantiser,
    to_rgb,
    to_ycbcr,
)
from tasks.training.upscaling.drawings import draw


def drawings(count, *, edge=112):
    pixels = np.stack([draw(9, index, edge=edge) for index in range(count)])
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(0, 3, 1, 2)


def psnr(a, b):
    return float(-10 * torch.log10((a - b).square().mean()))


def by_libjpeg(picture, quality):
    pixels = (picture.permute(1, 2, 0).numpy()[..., ::-1] * 255).round().astype(np.uint8)
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    made = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255
    return torch.from_numpy(made).permute(2, 0, 1)


@pytest.mark.parametrize("quality", [20, 50, 80, 95])
def test_jpeg_does_the_damage_that_libjpeg_does(quality):
    pictures = drawings(6)
    ours = jpeg(pictures, quality=torch.full((6,), quality))
    theirs = torch.stack([by_libjpeg(picture, quality) for picture in pictures])
    assert psnr(ours, theirs) > psnr(theirs, pictures) + 10
    assert abs(psnr(ours, pictures) - psnr(theirs, pictures)) < 0.1


def test_jpeg_takes_a_quality_per_picture_and_any_size():
    pictures = drawings(2)[..., :53, :71]
    made = jpeg(pictures, quality=torch.tensor([10, 95]))
    assert made.shape == pictures.shape
    assert torch.equal(made[1:], jpeg(pictures[1:], quality=torch.tensor([95])))
    assert psnr(made[1], pictures[1]) > psnr(made[0], pictures[0]) + 5


def test_quantiser_is_the_standard_table_at_fifty_and_ones_at_a_hundred():
    steps = quantiser(LUMA_TABLE, quality=torch.tensor([50, 100]))
    assert torch.equal(steps[0], torch.tensor(LUMA_TABLE).float())
    assert torch.equal(steps[1], torch.ones(8, 8))


@pytest.mark.parametrize("luma", [BT601, BT709])
def test_ycbcr_comes_back_and_white_has_no_chroma(luma):
    pictures = torch.rand(2, 3, 5, 7)
    assert torch.allclose(to_rgb(to_ycbcr(pictures, luma=luma), luma=luma), pictures, atol=1e-5)
    white = to_ycbcr(torch.ones(1, 3, 1, 1), luma=luma)
    assert torch.allclose(white.flatten(), torch.tensor([1.0, 0, 0]), atol=1e-6)


def test_halved_chroma_stays_in_place():
    ramp = torch.arange(40.0).expand(1, 1, 20, 40)
    assert torch.allclose(double_chroma(halve_chroma(ramp))[..., 2:-2], ramp[..., 2:-2], atol=1e-4)


def test_h264_is_repeatable_and_worse_at_a_higher_crf():
    still = drawings(2)[:, None].repeat(1, 3, 1, 1, 1)
    fine, coarse = h264(still, crf=[15, 15]), h264(still, crf=[34, 34])
    assert fine.shape == still.shape
    assert torch.equal(fine, h264(still, crf=[15, 15]))
    assert psnr(fine, still) > psnr(coarse, still) + 3
    assert psnr(fine, still) > 30


def test_h264_keeps_the_order_of_frames():
    clip = torch.linspace(0.1, 0.9, 5).view(1, 5, 1, 1, 1).expand(1, 5, 3, 32, 48)
    made = h264(clip, crf=[20])
    assert torch.allclose(made.mean((2, 3, 4)), clip.mean((2, 3, 4)), atol=0.01)


def test_h264_refuses_odd_sides():
    with pytest.raises(ValueError, match="even sides, got 33x32"):
        h264(torch.zeros(1, 1, 3, 32, 33), crf=[20])
