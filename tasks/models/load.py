"""Open a model for work: its card and weights to a network that runs windows on a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cluster.errors import UsageError
from tasks.models.device import Device
from tasks.models.engine import EXACT
from tasks.models.enlarge import Enlarger, Net, Signal
from tasks.models.shelf import (
    Format,
    ModelCard,
    Precision,
    load_graph,
    load_model,
    weights_of,
)
from tasks.models.torch_setup import start_torch


def open_enlarger(
    card: ModelCard,
    *,
    device: Device,
    read_asset: Callable[[str], bytes],
    precision: Precision,
    tensorrt: bool = False,
    engine: str = EXACT,
) -> Enlarger:
    """An upscaling model ready on a device, run by `engine` where one is named. Errors: StageError
    on bad weights, ClusterError where what it runs on is missing, InputError where the file is none
    of its format."""
    if engine:
        return Enlarger(card=card, net=load_fast(card, engine=engine))
    request = _Request(
        card=card, device=device, read_asset=read_asset, precision=precision, tensorrt=tensorrt
    )
    return Enlarger(card=card, net=_LOADERS[card.format](request))


def load_fast(card: ModelCard, *, engine: str) -> Net:
    """A network of the shelf run by an engine other than torch; a graph for each shape of window.
    ClusterError where this machine has not the engine."""
    graph = load_graph(card, engine=engine)

    def run(window: Signal) -> Signal:
        height, width, _ = window.shape
        made: Signal = graph(height=height, width=width)(window[None])[0]
        return made

    return run


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A model, its device and how it runs."""

    card: ModelCard
    device: Device
    read_asset: Callable[[str], bytes]
    precision: Precision
    tensorrt: bool

    @property
    def weights(self) -> bytes:
        return weights_of(self.card, self.read_asset)


def _load_shelf(request: _Request) -> Net:
    place = start_torch(request.device)
    import torch

    net = load_model(request.card).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    bf16 = request.precision == "bf16"

    def run(window: Signal) -> Signal:
        frame = torch.from_numpy(np.ascontiguousarray(window)).permute(2, 0, 1)[None]
        with torch.inference_mode(), torch.autocast(place.type, torch.bfloat16, enabled=bf16):
            made = net(frame.to(place))
        return made[0].permute(1, 2, 0).cpu().numpy()  # type: ignore[no-any-return]

    return run


def _load_onnx(request: _Request) -> Net:
    from tasks.models.user.onnx_net import open_onnx

    return open_onnx(
        request.weights,
        device=request.device,
        name=request.card.name,
        tensorrt=request.tensorrt,
    ).net


def _load_zoo(request: _Request) -> Net:
    from tasks.models.user.state import read_state
    from tasks.models.user.zoo import open_zoo

    name = request.card.name
    state = read_state(request.weights, name=name)
    return open_zoo(state, device=request.device, name=name, precision=request.precision).net


def _not_enlarging(request: _Request) -> Net:
    raise UsageError(f"model {request.card.name!r} makes in-betweens, it cannot enlarge")


_LOADERS: dict[Format, Callable[[_Request], Net]] = {
    "shelf": _load_shelf,
    "onnx": _load_onnx,
    "spandrel": _load_zoo,
    "rife": _not_enlarging,
}
