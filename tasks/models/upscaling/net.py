"""The network: a few 3x3 convolutions that correct a fixed Lanczos enlarging.

Every convolution is unpadded: the output for a pixel is one function of its neighbourhood of
`halo` pixels, the same wherever the window lies, which is what makes tiles exact. The caller
brings the halo, replicated at the frame's edge.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.models.shelf import ModelCard
from tasks.models.upscaling.resample import enlarging_kernel
from tasks.models.upscaling.taps import BASE_REACH


class UpscaleNet(nn.Module):
    """Enlarges a window of R'G'B' signal by `scale`. Tensors in and out, no decision on values.

    `layers` 3x3 convolutions, `channels` wide, ReLU between them, the last one giving the
    3 scale² values that a pixel shuffle (Shi et al., CVPR 2016) lays out as scale x scale pixels.
    They see the signal clipped to [0, 1]; the Lanczos base sees it as it is and always in
    float32, so that values below black and above white pass through.
    """

    base: Tensor

    def __init__(self, *, scale: int, channels: int, layers: int) -> None:
        super().__init__()
        widths = [3] + [channels] * (layers - 1) + [3 * scale**2]
        self.scale = scale
        self.channels = channels
        self.halo = layers
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3) for before, after in pairwise(widths)
        )
        kernel = enlarging_kernel("lanczos", factor=scale, channels=3)
        self.register_buffer("base", kernel, persistent=False)

    def forward(self, window: Tensor) -> Tensor:
        """(N, 3, H + 2 halo, W + 2 halo) float32, 0 black, 1 white → (N, 3, scale H, scale W)."""
        x = window.clamp(0, 1)
        for conv in self.convs[:-1]:
            x = F.relu(conv(x), inplace=True)
        detail = self.convs[-1](x).float()
        inset = self.halo - BASE_REACH
        inner = window[:, :, inset : window.shape[2] - inset, inset : window.shape[3] - inset]
        with torch.autocast(window.device.type, enabled=False):
            return F.pixel_shuffle(F.conv2d(inner, self.base) + detail, self.scale)


def build(card: ModelCard) -> UpscaleNet:
    """The network that a card's `scale` and `shape` describe, with weights yet to be loaded."""
    shape = card.shape
    return UpscaleNet(scale=card.scale, channels=shape["channels"], layers=shape["layers"])


@torch.no_grad()
def inherit(net: UpscaleNet, donor: UpscaleNet) -> None:
    """Make `net` start as the function that a smaller `donor` is (Net2Net, Chen et al. 2016).

    Channels and layers that the donor lacks are added so that they change nothing yet: new
    channels are read by none of the old, new layers pass the old channels on (ReLU leaves what a
    ReLU made). With another scale the last layer is not taken, and starts near zero: Lanczos.
    """
    extra = len(net.convs) - len(donor.convs)
    if extra < 0 or net.channels < donor.channels:
        raise ValueError(f"expected at least {len(donor.convs)}x{donor.channels}")
    for mine, theirs in zip(net.convs, donor.convs[:-1], strict=False):
        _embed(mine, *_taken(theirs))
    old = donor.channels
    passing = nn.init.dirac_(torch.empty(old, old, 3, 3))
    for mine in net.convs[len(donor.convs) - 1 : -1]:
        _embed(mine, passing, torch.zeros(old))
    if net.scale == donor.scale:
        _embed(net.convs[-1], *_taken(donor.convs[-1]))
    else:
        weight, bias = _taken(net.convs[-1])
        weight.mul_(0.1)
        bias.zero_()


def _taken(conv: nn.Module) -> tuple[Tensor, Tensor]:
    """A convolution's weight and bias."""
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    return conv.weight, conv.bias


def _embed(conv: nn.Module, weight: Tensor, bias: Tensor) -> None:
    """Old outputs are made of old inputs alone; what is new keeps its random start."""
    mine, shift = _taken(conv)
    made, read = weight.shape[:2]
    mine[:made] = 0
    mine[:made, :read] = weight
    shift[:made] = bias
