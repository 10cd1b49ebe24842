"""What happens to drawings on their way to us: rough lines, dirt, blur, ringing, grain, codecs.

Every function takes (N, 3, H, W) R'G'B' signal in [0, 1] and gives the same shape, on the same
device. Chance comes from a seed alone, drawn on the CPU: the same seed does the same damage, on
any device up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.training.shots.compression import (
    BT709,
    double_chroma,
    h264,
    halve_chroma,
    jpeg,
    to_rgb,
    to_ycbcr,
)

PRESETS = ("veryfast", "fast", "medium")  # of libx264: each leaves other traces
CLIP_FRAMES = 6  # x264 spends more on what later frames are predicted from


def blur(pictures: Tensor, *, sigma: Tensor) -> Tensor:
    """A Gaussian of `sigma` (N,) pixels, up to 2.5; edges replicated. Zero leaves a picture be."""
    reach = 6
    at = torch.arange(-reach, reach + 1, device=pictures.device, dtype=pictures.dtype)
    width = sigma.to(pictures).clamp(min=1e-3).view(-1, 1)
    return _separable(pictures, torch.exp(-0.5 * (at / width) ** 2))


def box_blur(pictures: Tensor, *, width: Tensor) -> Tensor:
    """A box of `width` (N,) pixels, 1 to 7, ends weighted by what is left; edges replicated."""
    at = torch.arange(-3, 4, device=pictures.device, dtype=pictures.dtype).abs()
    half = width.to(pictures).view(-1, 1) / 2
    return _separable(pictures, (half + 0.5 - at).clamp(0, 1))


def _separable(pictures: Tensor, taps: Tensor) -> Tensor:
    """Each picture with its own symmetric taps (N, odd), both ways."""
    count, channels, height, width = pictures.shape
    reach = taps.shape[1] // 2
    taps = (taps / taps.sum(1, keepdim=True)).repeat_interleave(channels, 0)[:, None]
    planes = pictures.reshape(1, count * channels, height, width)
    planes = F.pad(planes, (reach, reach, reach, reach), mode="replicate")
    planes = F.conv2d(planes, taps[..., None], groups=count * channels)
    planes = F.conv2d(planes, taps[:, :, None], groups=count * channels)
    return planes.view_as(pictures)


def ring(pictures: Tensor, *, amount: Tensor, sigma: float = 1.0) -> Tensor:
    """Sharpened too far: `amount` (N,) times what a Gaussian of `sigma` takes away is added."""
    soft = blur(pictures, sigma=torch.full((len(pictures),), sigma))
    return (pictures + amount.to(pictures).view(-1, 1, 1, 1) * (pictures - soft)).clamp(0, 1)


def grain(pictures: Tensor, *, strength: Tensor, size: float, seed: int) -> Tensor:
    """Film grain: noise of standard deviation `strength` (N,) in luma, a third of it in colour.

    `size` is the Gaussian, in pixels, that the noise is smoothed by (0: every pixel for itself).
    """
    chance = torch.Generator().manual_seed(seed)
    shape = pictures.shape
    luma = torch.randn(shape[0], 1, *shape[2:], generator=chance)
    noise = luma + torch.randn(shape, generator=chance) / 3
    if size > 0:
        noise = blur(noise, sigma=torch.full((shape[0],), size))
    noise = noise / noise.std(dim=(1, 2, 3), keepdim=True)
    return (pictures + strength.to(pictures).view(-1, 1, 1, 1) * noise.to(pictures)).clamp(0, 1)


def soften_chroma(pictures: Tensor) -> Tensor:
    """Colour at half the size, as in 4:2:0, luma untouched; even sides."""
    planes = to_ycbcr(pictures, luma=BT709)
    soft = double_chroma(halve_chroma(planes[:, 1:]))
    return to_rgb(torch.cat([planes[:, :1], soft], 1), luma=BT709).clamp(0, 1)


def roughen(pictures: Tensor, *, amount: Tensor, seed: int) -> Tensor:
    """Rough lines: every pixel taken from `amount` (N,) pixels (standard deviation) elsewhere,
    in a field that varies over some three pixels. Flat paint is left as it is."""
    chance = torch.Generator().manual_seed(seed)
    count, _, height, width = pictures.shape
    coarse = torch.randn(count, 2, height // 3 + 1, width // 3 + 1, generator=chance)
    field = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)
    field = field / field.std(dim=(1, 2, 3), keepdim=True) * amount.cpu().view(-1, 1, 1, 1)
    still = F.affine_grid(torch.eye(2, 3).repeat(count, 1, 1), [count, 1, height, width], False)
    grid = still + field.permute(0, 2, 3, 1) * torch.tensor([2 / width, 2 / height])
    made = F.grid_sample(
        pictures, grid.to(pictures), mode="bicubic", padding_mode="border", align_corners=False
    )
    return made.clamp(0, 1)


def speckle(pictures: Tensor, *, density: Tensor, seed: int) -> Tensor:
    """Dust and dirt: dots about two pixels wide, dark or light, `density` (N,) of them a pixel."""
    chance = torch.Generator().manual_seed(seed)
    count, _, height, width = pictures.shape
    hits = torch.rand(count, 1, height, width, generator=chance) < density.cpu().view(-1, 1, 1, 1)
    tone = (torch.rand(count, 1, height, width, generator=chance) < 0.3).float()
    dots = torch.cat([hits.float(), hits * tone], 1)
    spread = blur(dots, sigma=torch.full((count,), 0.6)) * 2
    cover = spread[:, :1].clamp(0, 1).to(pictures)
    paint = (spread[:, 1:] / spread[:, :1].clamp(min=1e-6)).to(pictures)
    return pictures * (1 - cover) + paint * cover


def compress_as_video(pictures: Tensor, *, crf: Tensor, seed: int) -> Tensor:
    """Each picture as one frame of a short H.264 clip (`crf` (N,)) that holds or pans.

    Which frame it is, the pan and x264's preset are chance, so that intra and predicted frames
    both occur. Even sides.
    """
    chance = torch.Generator().manual_seed(seed)
    made = []
    for picture, quality in zip(pictures.split(1), crf.tolist(), strict=True):
        at = int(torch.randint(CLIP_FRAMES, (), generator=chance))
        preset = int(torch.randint(len(PRESETS), (), generator=chance))
        moving = float(torch.rand((), generator=chance)) < 0.6
        pan = torch.randint(-2, 3, (2,), generator=chance) * int(moving)
        offsets = [(pan * (frame - at)).tolist() for frame in range(CLIP_FRAMES)]
        clip = torch.cat([_shifted(picture, offset) for offset in offsets])
        clip = h264(clip[None], crf=[int(quality)], preset=PRESETS[preset])
        made.append(clip[0, at])
    return torch.stack(made)


def _shifted(picture: Tensor, offset: list[int]) -> Tensor:
    down, right = offset
    height, width = picture.shape[2:]
    rows = (torch.arange(height, device=picture.device) + down).clamp(0, height - 1)
    columns = (torch.arange(width, device=picture.device) + right).clamp(0, width - 1)
    return picture[:, :, rows][:, :, :, columns]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wear:
    """How often (a share of pictures) and how badly (a range) `wear_down` does each damage.

    Pixels are those of the damaged picture, strengths are of the signal's unit. What is neither
    JPEG nor H.264 stays uncompressed.
    """

    rough_share: float = 0.06
    rough: tuple[float, float] = (0.1, 0.4)
    speckle_share: float = 0.05
    speckle: tuple[float, float] = (0.0001, 0.001)
    blur_share: float = 0.15
    blur: tuple[float, float] = (0.3, 0.9)
    box_share: float = 0.02
    box: tuple[float, float] = (1.5, 2.5)
    ring_share: float = 0.1
    ring: tuple[float, float] = (0.2, 0.8)
    grain_share: float = 0.12
    grain: tuple[float, float] = (0.004, 0.025)
    chroma_share: float = 0.2
    jpeg_share: float = 0.35
    jpeg: tuple[float, float] = (30, 95)
    h264_share: float = 0.4
    h264: tuple[float, float] = (18, 38)


def wear_down(pictures: Tensor, *, seed: int, wear: Wear | None = None) -> Tensor:
    """(N, 3, H, W), even sides, each with the damages that chance gives it, in a film's order:
    the drawing (lines, dirt), the lens (blur), the master (ringing, grain, chroma), the codec."""
    wear = wear or Wear()
    chance = torch.Generator().manual_seed(seed)

    def some(
        share: float, span: tuple[float, float], do: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        chosen = torch.rand(len(pictures), generator=chance) < share
        strength = span[0] + (span[1] - span[0]) * torch.rand(len(pictures), generator=chance)
        apply(chosen, strength, do)

    def apply(chosen: Tensor, strength: Tensor, do: Callable[[Tensor, Tensor], Tensor]) -> None:
        if chosen.any():
            at = chosen.to(pictures.device)
            pictures[at] = do(pictures[at], strength[chosen])

    pictures = pictures.clone()
    seeds = [int(value) for value in torch.randint(2**31, (4,), generator=chance)]
    some(wear.rough_share, wear.rough, lambda p, s: roughen(p, amount=s, seed=seeds[0]))
    some(wear.speckle_share, wear.speckle, lambda p, s: speckle(p, density=s, seed=seeds[1]))
    some(wear.blur_share, wear.blur, lambda p, s: blur(p, sigma=s))
    some(wear.box_share, wear.box, lambda p, s: box_blur(p, width=s))
    some(wear.ring_share, wear.ring, lambda p, s: ring(p, amount=s))
    size = float(torch.rand((), generator=chance)) * 0.8
    some(wear.grain_share, wear.grain, lambda p, s: grain(p, strength=s, size=size, seed=seeds[2]))
    some(wear.chroma_share, (0, 0), lambda p, _: soften_chroma(p))
    codec = torch.rand(len(pictures), generator=chance)
    as_jpeg = codec < wear.jpeg_share
    as_video = (codec >= wear.jpeg_share) & (codec < wear.jpeg_share + wear.h264_share)
    strength = torch.rand(len(pictures), generator=chance)
    low, high = wear.jpeg
    apply(as_jpeg, low + (high - low) * strength, lambda p, s: jpeg(p, quality=s.to(p).round()))
    low, high = wear.h264
    apply(
        as_video,
        (low + (high - low) * strength).round(),
        lambda p, s: compress_as_video(p, crf=s, seed=seeds[3]),
    )
    return pictures
