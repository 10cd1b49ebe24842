"""What JPEG and H.264 do to pictures: batched, repeatable, without a file.

Pictures are R'G'B' signal in [0, 1]; what comes back is what a decoder shows, 8-bit values.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import cos, pi, sqrt
from typing import Any

import av
import numpy as np
import torch
import torch.nn.functional as F
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray
from torch import Tensor

# ITU-T T.81 (1992), tables K.1 and K.2: the quantisers that nearly every JPEG scales.
LUMA_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA_TABLE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)
BT601 = (0.299, 0.587, 0.114)  # JPEG (JFIF), full range
BT709 = (0.2126, 0.7152, 0.0722)  # video, limited range


def jpeg(pictures: Tensor, *, quality: Tensor) -> Tensor:
    """(N, 3, H, W) through JPEG at `quality` (N,) from 1 to 100, in Y'CbCr 4:2:0.

    8x8 blocks of the DCT are quantised by the standard tables, scaled as the Independent JPEG
    Group's library scales them; edges are padded by replication to whole 16x16 units, and chroma
    comes back by a triangle filter. Within rounding of what libjpeg gives.
    """
    height, width = pictures.shape[2:]
    wide = F.pad(pictures, (0, -width % 16, 0, -height % 16), mode="replicate")
    planes = to_ycbcr((wide.clamp(0, 1) * 255).round(), luma=BT601)
    luma, chroma = planes[:, :1].round(), F.avg_pool2d(planes[:, 1:], 2).round()
    luma = _quantised(luma - 128, table=LUMA_TABLE, quality=quality) + 128
    chroma = _quantised(chroma, table=CHROMA_TABLE, quality=quality)
    chroma = chroma.round().clamp(-128, 127)
    full = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    made = to_rgb(torch.cat([luma.round().clamp(0, 255), full], 1), luma=BT601)
    return made[:, :, :height, :width].round().clamp(0, 255) / 255


def quantiser(table: Sequence[Sequence[int]], *, quality: Tensor) -> Tensor:
    """(N, 8, 8) steps of the DCT at `quality` (N,), by the Independent JPEG Group's rule."""
    quality = quality.float().clamp(1, 100)
    percent = torch.where(quality < 50, torch.floor(5000 / quality), 200 - 2 * quality)
    base = torch.tensor(table, dtype=torch.float32, device=quality.device)
    return torch.floor((base * percent.view(-1, 1, 1) + 50) / 100).clamp(1, 255)


def _quantised(planes: Tensor, *, table: Sequence[Sequence[int]], quality: Tensor) -> Tensor:
    """(N, C, H, W), sides multiples of 8, with every block's DCT rounded to its steps."""
    count, channels, height, width = planes.shape
    steps = quantiser(table, quality=quality).to(planes)[:, None, None, None]
    basis = _dct().to(planes)
    blocks = planes.view(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    made = torch.round(basis @ blocks @ basis.T / steps) * steps
    return (basis.T @ made @ basis).transpose(3, 4).reshape(planes.shape)


def _dct() -> Tensor:
    """The orthonormal 8-point DCT-II as a matrix."""
    rows = [[cos((2 * x + 1) * u * pi / 16) / 2 for x in range(8)] for u in range(8)]
    basis = torch.tensor(rows)
    basis[0] /= sqrt(2)
    return basis


def to_ycbcr(pictures: Tensor, *, luma: Sequence[float]) -> Tensor:
    """(N, 3, H, W) R'G'B' to Y', Cb, Cr of the same unit; chroma about 0, full range."""
    red, green, blue = pictures.unbind(1)
    y = luma[0] * red + luma[1] * green + luma[2] * blue
    return torch.stack([y, (blue - y) / (2 - 2 * luma[2]), (red - y) / (2 - 2 * luma[0])], 1)


def to_rgb(planes: Tensor, *, luma: Sequence[float]) -> Tensor:
    """The inverse of `to_ycbcr`."""
    y, cb, cr = planes.unbind(1)
    red, blue = y + (2 - 2 * luma[0]) * cr, y + (2 - 2 * luma[2]) * cb
    return torch.stack([red, (y - luma[0] * red - luma[2] * blue) / luma[1], blue], 1)


def h264(
    clips: Tensor, *, crf: Sequence[int], preset: str = "medium", tree: bool = False
) -> Tensor:
    """(N, T, 3, H, W) clips through libx264 at `crf` (N), 8-bit 4:2:0 BT.709, and back.

    H and W must be even; chroma sits left, as in video. One thread, no scene cuts and no
    macroblock `tree`, so that the same clip gives the same pictures: with it, x264 encoded 4 of 36
    clips of 64x64 in two ways over 25 tries, without it none.
    """
    if clips.shape[3] % 2 or clips.shape[4] % 2:
        raise ValueError(f"expected even sides, got {clips.shape[4]}x{clips.shape[3]}")
    made = []
    for clip, quality in zip(clips, crf, strict=True):
        frames = _decode(_encode(_to_planes(clip), crf=quality, preset=preset, tree=tree))
        made.append(_from_planes(np.stack(frames), height=clip.shape[2]))
    return torch.stack(made).to(clips.device)


def _encode(
    frames: NDArray[np.uint8], *, crf: int, preset: str, tree: bool
) -> list[av.Packet[Any]]:
    """(T, 3H/2, W) planar 4:2:0 as packets of H.264."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height = frames.shape[2], frames.shape[1] * 2 // 3
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 24)
    encoder.thread_count = 1
    encoder.options = {"crf": str(crf), "preset": preset, "sc_threshold": "0", "threads": "1"}
    if not tree:
        encoder.options |= {"x264-params": "mbtree=0"}
    packets = []
    for at, planes in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = at
        packets += encoder.encode(frame)
    return packets + encoder.encode(None)


def _decode(packets: list[av.Packet[Any]]) -> list[NDArray[np.uint8]]:
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count = 1
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    frames += decoder.decode(None)
    return [frame.to_ndarray().astype(np.uint8, copy=False) for frame in frames]


def _to_planes(clip: Tensor) -> NDArray[np.uint8]:
    """(T, 3, H, W) signal as (T, 3H/2, W) limited-range planes, as PyAV wants yuv420p."""
    planes = to_ycbcr(clip.detach().cpu().clamp(0, 1), luma=BT709)
    count, _, height, width = planes.shape
    luma = (planes[:, 0] * 219 + 16).reshape(count, -1)
    chroma = (halve_chroma(planes[:, 1:]) * 224 + 128).reshape(count, -1)
    packed = torch.cat([luma, chroma], 1).round().clamp(0, 255).to(torch.uint8)
    return packed.view(count, height * 3 // 2, width).numpy()


def _from_planes(frames: NDArray[np.uint8], *, height: int) -> Tensor:
    count, _, width = frames.shape
    packed = torch.from_numpy(frames.astype(np.float32)).view(count, -1)
    luma, chroma = packed.split([height * width, height * width // 2], 1)
    luma = (luma.view(count, 1, height, width) - 16) / 219
    chroma = (chroma.view(count, 2, height // 2, width // 2) - 128) / 224
    made = to_rgb(torch.cat([luma, double_chroma(chroma)], 1), luma=BT709)
    return (made.clamp(0, 1) * 255).round() / 255


def halve_chroma(planes: Tensor) -> Tensor:
    """(N, C, H, W), even sides, to 4:2:0 samples that sit left, between two rows."""
    rows = F.avg_pool2d(planes, (2, 1))
    wide = F.pad(rows, (1, 0, 0, 0), mode="replicate")
    return wide[..., 0:-1:2] / 4 + wide[..., 1::2] / 2 + rows[..., 1::2] / 4


def double_chroma(samples: Tensor) -> Tensor:
    """The inverse of `halve_chroma` for flat and for evenly rising chroma, by a triangle."""
    size = (2 * samples.shape[2], samples.shape[3])
    rows = F.interpolate(samples, size=size, mode="bilinear", align_corners=False)
    following = torch.cat([rows[..., 1:], rows[..., -1:]], 3)
    return torch.stack([rows, (rows + following) / 2], 4).flatten(3)
