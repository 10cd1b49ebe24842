"""Open a model for work: its card and weights to a network that runs windows on a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cluster.errors import UsageError
from tasks.models.device import Device
from tasks.models.enlarge import Enlarger, Net, Signal
from tasks.models.shelf import Format, ModelCard, Precision, load_model, weights_of
from tasks.models.torch_setup import start_torch


def open_enlarger(
    card: ModelCard,
    *,
    device: Device,
    read_asset: Callable[[str], bytes],
    precision: Precision,
    tensorrt: bool = False,
) -> Enlarger:
    """An upscaling model ready on a device. Errors: StageError on bad weights, ClusterError where
    what it runs on is missing, InputError where the file is none of its format."""
    opening = _Opening(
        card=card, device=device, read_asset=read_asset, precision=precision, tensorrt=tensorrt
    )
    return Enlarger(card=card, net=_OPENERS[card.format](opening))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opening:
    """A model, and on what it is to run how."""

    card: ModelCard
    device: Device
    read_asset: Callable[[str], bytes]
    precision: Precision
    tensorrt: bool

    @property
    def weights(self) -> bytes:
        return weights_of(self.card, self.read_asset)


def _open_shelf(opening: _Opening) -> Net:
    place = start_torch(opening.device)
    import torch

    net = load_model(opening.card).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    bf16 = opening.precision == "bf16"

    def run(window: Signal) -> Signal:
        frame = torch.from_numpy(np.ascontiguousarray(window)).permute(2, 0, 1)[None]
        with torch.inference_mode(), torch.autocast(place.type, torch.bfloat16, enabled=bf16):
            made = net(frame.to(place))
        return made[0].permute(1, 2, 0).cpu().numpy()  # type: ignore[no-any-return]

    return run


def _open_onnx(opening: _Opening) -> Net:
    from tasks.models.user.onnx_net import open_onnx

    return open_onnx(
        opening.weights,
        device=opening.device,
        name=opening.card.name,
        tensorrt=opening.tensorrt,
    ).net


def _open_zoo(opening: _Opening) -> Net:
    from tasks.models.user.state import read_state
    from tasks.models.user.zoo import open_zoo

    name = opening.card.name
    state = read_state(opening.weights, name=name)
    return open_zoo(state, device=opening.device, name=name, precision=opening.precision).net


def _not_enlarging(opening: _Opening) -> Net:
    raise UsageError(f"model {opening.card.name!r} makes in-betweens, it cannot enlarge")


_OPENERS: dict[Format, Callable[[_Opening], Net]] = {
    "shelf": _open_shelf,
    "onnx": _open_onnx,
    "spandrel": _open_zoo,
    "rife": _not_enlarging,
}
