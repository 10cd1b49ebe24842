"""RIFE 4.6 and newer: in-betweens from two frames by coarse-to-fine flow (the user's weights).

Z. Huang et al., Real-Time Intermediate Flow Estimation for Video Frame Interpolation, ECCV 2022;
written by the layout of the published state dicts (Practical-RIFE 4.6 to 4.26), whose names and
shapes say which of them it is: how many blocks, how wide, with which features. Versions before
4.6 have other blocks and are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cluster.errors import InputError
from tasks.models.user.state import State

_TRAINING_ONLY = ("teacher.", "caltime.")
"""Parts that released files still carry and that no frame is made with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RifeLayout:
    """What a state dict's names and shapes say.

    `widths` are the blocks' channels, coarsest first, each with `depth` residual convolutions.
    `features` channels are encoded of each frame by convolutions `head` wide, with an activation
    between them where `head` has more than one; `carried` channels pass from block to block.
    """

    widths: tuple[int, ...]
    depth: int
    features: int = 0
    head: tuple[int, ...] = ()
    carried: int = 0

    @property
    def multiple(self) -> int:
        """What height and width must be a multiple of: the coarsest block works at 1/2^n."""
        return 4 << (len(self.widths) - 1)


def looks_like_rife(state: State) -> bool:
    """Whether names are of RIFE 4.6 or newer, before anything is built."""
    return "block0.convblock.0.beta" in _plain_names(state)


def read_layout(state: State, *, name: str = "rife") -> RifeLayout:
    """The layout of a state dict. InputError where it is none of the published ones."""
    plain = _plain_names(state)
    blocks = 1 + max(
        (int(m[1]) for key in plain if (m := re.match(r"block(\d+)\.", key))), default=-1
    )
    try:
        widths = tuple(plain[f"block{i}.convblock.0.beta"].shape[1] for i in range(blocks))
        depth = 1 + max(
            int(m[1]) for key in plain if (m := re.match(r"block0\.convblock\.(\d+)\.", key))
        )
        made = plain["block0.lastconv.0.weight"].shape[1] // 4
        head = tuple(
            plain[key].shape[1 if key == _head_names(plain)[-1] else 0]
            for key in _head_names(plain)
        )
    except (KeyError, IndexError, ValueError) as error:
        raise _unknown(name, f"no {error}") from error
    if len(widths) not in (4, 5) or made not in (6, 13):
        raise _unknown(name, f"{len(widths)} blocks that make {made} channels")
    return RifeLayout(
        widths=widths,
        depth=depth,
        features=head[-1] if head else 0,
        head=head[:-1],
        carried=made - 5 if made == 13 else 0,
    )


def build_rife(state: State, *, name: str = "rife") -> nn.Module:
    """The network of a state dict, on the CPU, ready for inference.

    `net(a, b, t)`: two frames (1, 3, H, W) float R'G'B' in 0..1, H and W multiples of
    `net.multiple`, and 0 < t < 1; returns the frame at t, (1, 3, H, W) float, not clipped.
    Every tensor must be used and every weight be there. Errors: InputError for an unknown layout.
    """
    plain = _plain_names(state)
    net = Rife(read_layout(state, name=name))
    try:
        net.load_state_dict({key: value.float() for key, value in plain.items()}, strict=True)
    except RuntimeError as error:
        raise _unknown(name, " ".join(str(error).split())[:200]) from error
    return net.eval().requires_grad_(False)


class Rife(nn.Module):
    """Flow and mask, refined from coarse to fine; see `build_rife`."""

    def __init__(self, layout: RifeLayout) -> None:
        super().__init__()
        self.layout = layout
        self.multiple = layout.multiple
        both = 6 + 2 * layout.features
        for index, width in enumerate(layout.widths):
            # images, features, time; after the first: mask, flow and what is carried on
            taken = both + 1 if index == 0 else both + 2 + layout.carried + 4
            self.add_module(f"block{index}", _Block(taken, width, layout))
        self.encode = _Head(layout) if layout.features else None

    def forward(self, a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
        """The frame at time `t` between `a` (0) and `b` (1)."""
        time = torch.as_tensor(t, dtype=a.dtype, device=a.device).expand_as(a[:, :1])
        features = [] if self.encode is None else [self.encode(a), self.encode(b)]
        seen_a, seen_b, seen = a, b, features
        flow, mask = a.new_zeros(()), a.new_zeros(())
        carried: list[Tensor] = []
        count = len(self.layout.widths)
        for index in range(count):
            shrink = float(1 << (count - 1 - index))
            block = self.get_submodule(f"block{index}")
            first = index == 0
            known = [seen_a, seen_b, *seen, time] + ([] if first else [mask, *carried])
            step, weight, rest = block(torch.cat(known, 1), None if first else flow, shrink)
            carried = [rest] if self.layout.carried else []
            flow = step if first else flow + step
            # Without an encoder (4.6) each block corrects the mask, with one it makes it anew.
            mask = weight if first or features else mask + weight
            seen_a, seen_b = _warp(a, flow[:, :2]), _warp(b, flow[:, 2:4])
            if features and index + 1 < count:
                seen = [_warp(features[0], flow[:, :2]), _warp(features[1], flow[:, 2:4])]
        share = torch.sigmoid(mask)
        return seen_a * share + seen_b * (1 - share)


class _Block(nn.Module):
    """Refines flow at one scale: a quarter of its size inside, residual convolutions, back."""

    def __init__(self, taken: int, width: int, layout: RifeLayout) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(
            nn.Sequential(nn.Conv2d(taken, width // 2, 3, 2, 1), nn.LeakyReLU(0.2)),
            nn.Sequential(nn.Conv2d(width // 2, width, 3, 2, 1), nn.LeakyReLU(0.2)),
        )
        self.convblock = nn.Sequential(*(_Residual(width) for _ in range(layout.depth)))
        made = 5 + layout.carried if layout.carried else 6
        self.lastconv = nn.Sequential(
            nn.ConvTranspose2d(width, 4 * made, 4, 2, 1), nn.PixelShuffle(2)
        )

    def forward(
        self, known: Tensor, flow: Tensor | None, shrink: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A step of flow (4 channels, pixels), the mask before its sigmoid, and the rest."""
        x = _resize(known, 1 / shrink)
        if flow is not None:
            x = torch.cat((x, _resize(flow, 1 / shrink) / shrink), 1)
        made = _resize(self.lastconv(self.convblock(self.conv0(x))), shrink)
        return made[:, :4] * shrink, made[:, 4:5], made[:, 5:]


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, 1, 1)
        self.beta = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(x) * self.beta + x, 0.2)


class _Head(nn.Module):
    """Features of a frame at its own size: halved, convolved, doubled."""

    def __init__(self, layout: RifeLayout) -> None:
        super().__init__()
        widths = (3, *layout.head)
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 3, 2 if index == 0 else 1, 1)
            for index, (before, after) in enumerate(pairwise(widths))
        )
        self.layers.append(nn.ConvTranspose2d(widths[-1], layout.features, 4, 2, 1))
        self.activated = len(layout.head) > 1  # 4.7 to 4.9 have two layers and nothing between

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2) if self.activated else layer(x)
        return self.layers[-1](x)  # type: ignore[no-any-return]


def _resize(x: Tensor, factor: float) -> Tensor:
    if factor == 1:
        return x
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def _warp(frame: Tensor, flow: Tensor) -> Tensor:
    """`frame` sampled at each pixel plus its flow (x, y), bilinear, edges replicated."""
    height, width = frame.shape[2:]
    x = torch.arange(width, dtype=torch.float32, device=frame.device)[None, None, :]
    y = torch.arange(height, dtype=torch.float32, device=frame.device)[None, :, None]
    grid = torch.stack(
        (
            (x + flow[:, 0].float()) * (2 / max(width - 1, 1)) - 1,
            (y + flow[:, 1].float()) * (2 / max(height - 1, 1)) - 1,
        ),
        -1,
    )
    return F.grid_sample(
        frame, grid.to(frame.dtype), mode="bilinear", padding_mode="border", align_corners=True
    )


def _plain_names(state: State) -> State:
    """Names without wrappers' prefixes, training parts left out, the encoder's layers numbered
    as ours (4.7 to 4.12 number them in a Sequential, 4.13 on call them cnn0 to cnn3)."""
    plain: State = {}
    for key, tensor in state.items():
        key = key.removeprefix("module.").removeprefix("flownet.")
        if not key.startswith(_TRAINING_ONLY):
            plain[key] = tensor
    indices = sorted({int(m[2]) for key in plain if (m := _ENCODER.match(key))})
    return {
        _ENCODER.sub(lambda m: f"encode.layers.{indices.index(int(m[2]))}.", key): tensor
        for key, tensor in plain.items()
    }


_ENCODER = re.compile(r"^encode\.(cnn)?(\d+)\.")


def _head_names(plain: State) -> list[str]:
    return sorted(key for key in plain if re.fullmatch(r"encode\.layers\.\d\.weight", key))


def _unknown(name: str, why: str) -> InputError:
    return InputError(
        f"unknown layout ({why})",
        where=f"model {name}",
        remedy="RIFE 4.6 to 4.26 as published are known",
    )
