"""The network: a few 3x3 convolutions that correct a fixed Lanczos doubling.

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
from tasks.models.upscale2x.resample import doubling_kernel

BASE_REACH = 3


class Upscale2x(nn.Module):
    """Doubles a window of R'G'B' signal. Tensors in, tensors out: no Python decides on values.

    `layers` 3x3 convolutions, `channels` wide, ReLU between them, the last one giving the 4 x 3
    values that a pixel shuffle (Shi et al., CVPR 2016) lays out as 2x2 pixels. They see the
    signal clipped to [0, 1]; the Lanczos base sees it as it is and always in float32, so that
    values below black and above white pass through.
    """

    base: Tensor

    def __init__(self, *, channels: int, layers: int) -> None:
        super().__init__()
        widths = [3] + [channels] * (layers - 1) + [12]
        self.halo = layers
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3) for before, after in pairwise(widths)
        )
        self.register_buffer("base", doubling_kernel("lanczos", channels=3), persistent=False)

    def forward(self, window: Tensor) -> Tensor:
        """(N, 3, H + 2 halo, W + 2 halo) float32, 0 black, 1 white → (N, 3, 2H, 2W) float32."""
        x = window.clamp(0, 1)
        for conv in self.convs[:-1]:
            x = F.relu(conv(x), inplace=True)
        detail = self.convs[-1](x).float()
        inset = self.halo - BASE_REACH
        inner = window[:, :, inset : window.shape[2] - inset, inset : window.shape[3] - inset]
        with torch.autocast(window.device.type, enabled=False):
            return F.pixel_shuffle(F.conv2d(inner, self.base) + detail, 2)


def build(card: ModelCard) -> Upscale2x:
    """The network that a card's `shape` describes, with weights yet to be loaded."""
    return Upscale2x(channels=card.shape["channels"], layers=card.shape["layers"])
