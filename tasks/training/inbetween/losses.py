"""What a good in-between is: right colours, right structure, right motion."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_EPSILON = 0.004
"""One 8-bit code: below it errors count squared."""
_SQUARED = 3.0
_CENSUS_REACH = 3
_CENSUS_SOFT = 0.01
_CHOICE_SOFT = 0.02
"""Five 8-bit codes: candidates that near to each other are equally good."""
_CHOICE_MATTERS = 0.2


def charbonnier(error: Tensor) -> Tensor:
    """Per value, linear beyond one 8-bit code (Charbonnier et al., ICIP 1994)."""
    return (error * error + _EPSILON * _EPSILON).sqrt() - _EPSILON


def census(made: Tensor, truth: Tensor) -> Tensor:
    """Mean soft Hamming distance of the signs of brightness around each pixel (Meister et al.,
    AAAI 2018): sees lines, not light."""

    def signs(picture: Tensor) -> Tensor:
        grey = picture.mean(1, keepdim=True)
        edge = 2 * _CENSUS_REACH + 1
        around = F.unfold(F.pad(grey, (_CENSUS_REACH,) * 4, mode="replicate"), edge)
        around = around.view(len(grey), edge * edge, *grey.shape[2:])[:, ::3]
        apart = around - grey
        return apart / (apart * apart + _CENSUS_SOFT**2).sqrt()

    distance = (signs(made) - signs(truth)).square()
    return (distance / (0.1 + distance)).mean()


def laplacian(made: Tensor, truth: Tensor, *, levels: int = 4) -> Tensor:
    """Mean absolute difference of Laplacian pyramids (Bojanowski et al., 2018), coarse ones
    weighing as much as fine ones."""
    total: Tensor = made.new_zeros(())
    error = made - truth
    for level in range(levels):
        smaller = F.avg_pool2d(error, 2)
        back = F.interpolate(smaller, scale_factor=2.0, mode="bilinear", align_corners=False)
        total = total + (2**level) * (error - back).abs().mean()
        error = smaller
    loss: Tensor = total + (2**levels) * error.abs().mean()
    return loss


def flow_error(found: Tensor, truth: Tensor, seen: Tensor) -> Tensor:
    """Mean distance in pixels, at most 8 each, of flows (N, 2, H, W) where `seen` (N, H, W)."""
    away = ((found - truth).square().sum(1) + 0.01).sqrt()
    return (away.clamp(max=8) * seen).sum() / seen.sum().clamp(min=1)


def choice_error(candidates: list[Tensor], shares: Tensor, truth: Tensor) -> Tensor:
    """How far the shares are from the best choice (Kullback and Leibler), where it matters.

    The best choice favours the candidate nearest to the truth around each pixel; pixels count by
    how much the candidates differ there.
    """
    away = torch.cat([(c - truth).abs().mean(1, keepdim=True) for c in candidates], 1).detach()
    away = F.avg_pool2d(away, 3, 1, 1)
    best = (-away / _CHOICE_SOFT).softmax(1)
    apart = (best * ((best + 1e-6).log() - (shares + 1e-6).log())).sum(1)
    weight = ((away.amax(1) - away.amin(1)) / _CHOICE_MATTERS).clamp(max=1)
    return (apart * weight).mean()


def loss(made: Tensor, truth: Tensor) -> Tensor:
    """Of pictures (N, 3, H, W) signal: colour, structure and lines.

    The squared part makes large errors count: where nobody can know the drawing between, it
    prefers a mix to a gamble.
    """
    error = made - truth
    colour = charbonnier(error).mean() + _SQUARED * error.square().mean()
    return colour + 0.3 * laplacian(made, truth) / 5 + 0.02 * census(made, truth)
