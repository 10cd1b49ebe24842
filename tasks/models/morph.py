"""Open a network that draws in-betweens: its card and weights to a `Morph` on a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from cluster.errors import StageError, UsageError
from tasks.frames.optical_flow import Floats
from tasks.models.device import Device
from tasks.models.engine import EXACT
from tasks.models.enlarge import is_out_of_memory
from tasks.models.inbetweening import Morph, Pair
from tasks.models.shelf import Format, ModelCard, Precision, load_graph, load_model, weights_of
from tasks.models.torch_setup import start_torch

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from tasks.models.inbetween.graph import Draw


def open_morph(
    card: ModelCard,
    *,
    device: Device,
    read_asset: Callable[[str], bytes],
    precision: Precision,
    engine: str = EXACT,
) -> Morph:
    """A model of in-betweens ready on a device, run by `engine` where one is named. Errors:
    StageError on bad weights, ClusterError where the device or the engine is missing, InputError
    where the file is none of its format, UsageError for a model that enlarges."""
    if engine:
        return _open_fast(card, engine)
    try:
        opener = _OPENERS[card.format]
    except KeyError:
        raise UsageError(f"model {card.name!r} enlarges, it cannot make in-betweens") from None
    return opener(card, start_torch(device), read_asset, precision)


def _open_shelf(
    card: ModelCard,
    place: torch.device,
    read_asset: Callable[[str], bytes],
    precision: Precision,
) -> Morph:
    """One of ours: takes the classical guesses, decides at their size, draws at the frame's."""
    import torch

    from tasks.models.inbetween.net import Inbetween, enlarge_maps, guess_tensors

    net = load_model(card).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert isinstance(net, Inbetween)

    def morph(pair: Pair, at: float) -> Floats:
        small_a, small_b = (frame / np.float32(255) for frame in pair.small)
        time = torch.tensor([at], dtype=torch.float32, device=place)
        flows, cover = (known.to(place) for known in guess_tensors(pair.guess(at)))
        with torch.inference_mode():
            a, b = (_padded(_planes(x, place), card.multiple) for x in (small_a, small_b))
            wide = _padded(flows, card.multiple)[None]
            arrives = _padded(cover[None], card.multiple)
            with torch.autocast(place.type, torch.bfloat16, enabled=precision == "bf16"):
                maps = net.maps(a, b, wide, arrives, time)
            height, width = small_a.shape[:2]
            maps = maps[..., :height, :width]
            full_a, full_b = (_planes(x, place) for x in pair.signals)
            if full_a.shape[2:] != (height, width):
                size = {"height": full_a.shape[2], "width": full_a.shape[3]}
                maps = enlarge_maps(maps, **size)
                flows = enlarge_maps(flows.flatten(0, 1)[None], **size, flows=3)[0].unflatten(
                    0, (3, 2)
                )
            made = net.compose(full_a, full_b, flows[None], time, maps)
        return _picture(made)

    return _telling(card, morph)


def _open_fast(card: ModelCard, engine: str) -> Morph:
    """One of ours run by an engine other than torch; graphs for each size of frames."""
    graph = load_graph(card, engine=engine)

    def morph(pair: Pair, at: float) -> Floats:
        small_a, small_b = (frame / np.float32(255) for frame in pair.small)
        size, small = pair.signals[0].shape[:2], small_a.shape[:2]
        draw: Draw = graph(size=size, small=small)
        return draw((small_a, small_b), pair.signals, pair.guess(at), at)

    return _telling(card, morph)


def _open_rife(
    card: ModelCard,
    place: torch.device,
    read_asset: Callable[[str], bytes],
    precision: Precision,
) -> Morph:
    """RIFE's published layouts, weights of the user: frames in, frame out."""
    import torch

    from tasks.models.user.rife import build_rife
    from tasks.models.user.state import read_state

    state = read_state(weights_of(card, read_asset), name=card.name)
    net = build_rife(state, name=card.name).to(place)

    def morph(pair: Pair, at: float) -> Floats:
        height, width = pair.signals[0].shape[:2]
        with torch.inference_mode():
            a, b = (_padded(_planes(x, place).clamp(0, 1), card.multiple) for x in pair.signals)
            with torch.autocast(place.type, torch.bfloat16, enabled=precision == "bf16"):
                made = net(a, b, at)
        return _picture(made[..., :height, :width])

    return _telling(card, morph)


def _telling(card: ModelCard, morph: Morph) -> Morph:
    """The same, saying what to do where memory runs out: flow needs the whole frame at once."""

    def telling(pair: Pair, at: float) -> Floats:
        try:
            return morph(pair, at)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            height, width = pair.signals[0].shape[:2]
            raise StageError(
                f"out of memory on a {width}x{height} frame",
                where=f"interpolate, model {card.name}",
                remedy="give the worker more memory, run fewer, or take engine=dis",
                retryable=True,
            ) from error

    return telling


def _planes(picture: Floats, place: torch.device) -> Tensor:
    import torch

    planes = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].to(place)
    return planes.contiguous(memory_format=torch.channels_last)


def _padded(planes: Tensor, multiple: int) -> Tensor:
    """(N, C, H, W) with its edge repeated to the right and below, to a multiple of the size."""
    import torch.nn.functional as F

    height, width = planes.shape[2:]
    sides = (0, -width % multiple, 0, -height % multiple)
    return F.pad(planes, sides, mode="replicate") if any(sides) else planes


def _picture(planes: Tensor) -> Floats:
    return np.ascontiguousarray(planes[0].permute(1, 2, 0).float().cpu().numpy())


_Opener = Callable[[ModelCard, "torch.device", Callable[[str], bytes], Precision], Morph]
_OPENERS: dict[Format, _Opener] = {"shelf": _open_shelf, "rife": _open_rife}
