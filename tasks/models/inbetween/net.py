"""The network: it looks at what classical motion makes of two frames, mends the motion, and decides
pixel by pixel which of eight pictures to believe.

The eight candidates are both frames carried along three guesses of the motion, and both frames as
they are: a held or redrawn patch is taken from one of those. A U-Net (Ronneberger et al., MICCAI
2015) of strided convolutions gives the correction of the best guess (one flow for each side), the
choice (a softmax), and a residual.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.models.inbetween.layout import (
    APART_GAIN,
    CANDIDATES,
    FLOW_UNIT,
    GAINS,
    HEAD,
    INPUTS,
    LEAK,
    TRUST_MERGED,
)
from tasks.models.inbetweening import Guess
from tasks.models.shelf import ModelCard


class Inbetween(nn.Module):
    """Tensors in, tensors out. `widths`: channels at 1/2, 1/4, 1/8 and 1/16 of the size."""

    gains: Tensor

    def __init__(self, *, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.widths = widths
        self.register_buffer("gains", torch.tensor(GAINS)[:, None, None], persistent=False)
        befores = (4 * INPUTS, *widths[:-1])
        self.down = nn.ModuleList(
            _two(before, after, stride=2 if level else 1)
            for level, (before, after) in enumerate(zip(befores, widths, strict=True))
        )
        self.up = nn.ModuleList(
            _two(widths[level] + widths[level + 1], widths[level]) for level in (2, 1, 0)
        )
        self.head = nn.Conv2d(widths[0], 4 * HEAD, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # torch's default fades out over a dozen layers
                nn.init.kaiming_normal_(module.weight, a=LEAK, nonlinearity="leaky_relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.head.weight)

    def forward(self, a: Tensor, b: Tensor, guesses: Tensor, cover: Tensor, time: Tensor) -> Tensor:
        """The frame at `time` (N,) in (0, 1) between a (0) and b (1), (N, 3, H, W) signal.

        `a`, `b` (N, 3, H, W); `guesses` (N, GUESSES, 2, H, W): pixels from a to b of what is at
        each pixel at `time`, x then y; `cover` (N, 2, H, W), 0 to 1: how surely something of a,
        of b arrives there. Sides are multiples of `STRIDE`.
        """
        return self.compose(a, b, guesses, time, self.maps(a, b, guesses, cover, time))

    def maps(self, a: Tensor, b: Tensor, guesses: Tensor, cover: Tensor, time: Tensor) -> Tensor:
        """What it decides, (N, 4 + CANDIDATES + 3, H, W): corrections of the motion in pixels (to
        a, to b), logits of the candidates, residual. May be made at a smaller size than it is
        used at: see `enlarge_maps`."""
        seen = self._candidates(a.clamp(0, 1), b.clamp(0, 1), guesses, time)
        clock = time.view(-1, 1, 1, 1).expand(-1, 1, *a.shape[2:])
        apart = [
            (one - other).abs().mean(1, keepdim=True) * APART_GAIN
            for one, other in zip(seen[::2], seen[1::2], strict=True)
        ]
        pictures = [2 * picture - 1 for picture in seen]
        flows = guesses.flatten(1, 2) / FLOW_UNIT
        x = torch.cat([*pictures, *apart, flows, 2 * cover - 1, clock], 1)
        x = F.pixel_unshuffle(x, 2)
        kept = []
        for stage in self.down:
            x = stage(x)
            kept.append(x)
        for level, stage in zip((2, 1, 0), self.up, strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = stage(torch.cat([x, kept[level]], 1))
        return F.pixel_shuffle(self.head(x), 2).float() * self.gains

    def compose(self, a: Tensor, b: Tensor, guesses: Tensor, time: Tensor, maps: Tensor) -> Tensor:
        """The frame from the candidates and the `maps`; values beyond [0, 1] pass."""
        candidates = self.mended(a, b, guesses, time, maps)
        return self.mix(candidates, self.shares(time, maps), maps)

    def mix(self, candidates: list[Tensor], shares: Tensor, maps: Tensor) -> Tensor:
        """The candidates by their shares, and the residual."""
        made = maps[:, -3:]
        for at, candidate in enumerate(candidates):
            made = made + shares[:, at : at + 1] * candidate
        return made

    def mended(
        self, a: Tensor, b: Tensor, guesses: Tensor, time: Tensor, maps: Tensor
    ) -> list[Tensor]:
        """The candidates, (N, 3, H, W) each, the merged ones along the mended motion."""
        to_a, to_b = self.motion(guesses, time, maps)
        candidates = self._candidates(a, b, guesses, time)
        candidates[2], candidates[3] = carry(a, to_a), carry(b, to_b)
        return candidates

    def shares(self, time: Tensor, maps: Tensor) -> Tensor:
        """How much each candidate counts, (N, CANDIDATES, H, W), 1 in sum."""
        return self._logits(time, maps[:, 4 : 4 + CANDIDATES]).softmax(1)

    def motion(self, guesses: Tensor, time: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        """The mended flows (N, 2, H, W) from the frame at `time` to a and to b, in pixels."""
        t = time.view(-1, 1, 1, 1)
        return maps[:, :2] - t * guesses[:, 0], maps[:, 2:4] + (1 - t) * guesses[:, 0]

    def _candidates(self, a: Tensor, b: Tensor, guesses: Tensor, time: Tensor) -> list[Tensor]:
        t = time.view(-1, 1, 1, 1)
        seen = [a, b]
        for guess in guesses.unbind(1):
            seen += [carry(a, -t * guess), carry(b, (1 - t) * guess)]
        return seen

    def _logits(self, time: Tensor, learnt: Tensor) -> Tensor:
        """The nearer frame counts more, the merged guess most, before anything is learnt."""
        t = time.view(-1, 1).clamp(1e-3, 1 - 1e-3)
        sides = torch.cat([(1 - t).log(), t.log()], 1).repeat(1, CANDIDATES // 2)
        prior = torch.zeros(CANDIDATES, device=learnt.device)
        prior[2:4] = TRUST_MERGED
        return learnt + (sides + prior)[..., None, None]


def enlarge_maps(maps: Tensor, *, height: int, width: int, flows: int = 2) -> Tensor:
    """Maps made at one size for pictures of another: bilinear. The first `flows` pairs of
    channels are flows, x then y, and become pixels of the other size."""
    scale_y, scale_x = height / maps.shape[2], width / maps.shape[3]
    maps = F.interpolate(maps, size=(height, width), mode="bilinear", align_corners=False)
    scale = torch.ones(maps.shape[1], 1, 1, device=maps.device)
    scale[0 : 2 * flows : 2], scale[1 : 2 * flows : 2] = scale_x, scale_y
    return maps * scale


def guess_tensors(guess: Guess) -> tuple[Tensor, Tensor]:
    """A classical guess as the network takes it: (GUESSES, 2, H, W) flows, (2, H, W) cover."""
    flows = np.stack([guess.merged, guess.from_a, guess.from_b]).transpose(0, 3, 1, 2)
    cover = np.stack([guess.cover_a, guess.cover_b]).astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(flows)), torch.from_numpy(cover)


def carry(picture: Tensor, flow: Tensor) -> Tensor:
    """Sample (N, C, H, W) at p + flow[p], bilinear, in float32; beyond the edge, the edge."""
    height, width = picture.shape[2:]
    rows = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None]
    columns = torch.arange(width, device=flow.device, dtype=torch.float32)[None]
    x = (columns + flow[:, 0].float() + 0.5) * (2 / width) - 1
    y = (rows + flow[:, 1].float() + 0.5) * (2 / height) - 1
    with torch.autocast(picture.device.type, enabled=False):
        return F.grid_sample(
            picture.float(),
            torch.stack([x, y], -1),
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )


def _two(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, stride=stride),
        nn.LeakyReLU(LEAK, inplace=True),
        nn.Conv2d(after, after, 3, padding=1),
        nn.LeakyReLU(LEAK, inplace=True),
    )


def build(card: ModelCard) -> Inbetween:
    """The network that a card's `shape` describes, with weights yet to be loaded."""
    widths = tuple(card.shape[f"width_{level}"] for level in (2, 4, 8, 16))
    return Inbetween(widths=widths)  # type: ignore[arg-type]
