"""Open a model for work: its card and weights to a network that runs windows on a device."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cluster.errors import UsageError
from tasks.models.enlarge import Enlarger, Net, Signal
from tasks.models.shelf import Format, ModelCard, Precision, load_model, weights_of
from tasks.stage import Device
from tasks.torch_engine import start_torch


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
    opener = _OPENERS[card.format]
    return Enlarger(card=card, net=opener(card, device, read_asset, precision, tensorrt))


_Opener = Callable[[ModelCard, Device, Callable[[str], bytes], Precision, bool], Net]


def _open_shelf(
    card: ModelCard,
    device: Device,
    read_asset: Callable[[str], bytes],
    precision: Precision,
    tensorrt: bool,
) -> Net:
    place = start_torch(device)
    import torch

    net = load_model(card).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    bf16 = precision == "bf16"

    def run(window: Signal) -> Signal:
        frame = torch.from_numpy(np.ascontiguousarray(window)).permute(2, 0, 1)[None]
        with torch.inference_mode(), torch.autocast(place.type, torch.bfloat16, enabled=bf16):
            made = net(frame.to(place))
        return made[0].permute(1, 2, 0).cpu().numpy()  # type: ignore[no-any-return]

    return run


def _open_onnx(
    card: ModelCard,
    device: Device,
    read_asset: Callable[[str], bytes],
    precision: Precision,
    tensorrt: bool,
) -> Net:
    from tasks.models.user.onnx_net import open_onnx

    data = weights_of(card, read_asset)
    return open_onnx(data, device=device, name=card.name, tensorrt=tensorrt).net


def _open_zoo(
    card: ModelCard,
    device: Device,
    read_asset: Callable[[str], bytes],
    precision: Precision,
    tensorrt: bool,
) -> Net:
    from tasks.models.user.state import read_state
    from tasks.models.user.zoo import open_zoo

    state = read_state(weights_of(card, read_asset), name=card.name)
    return open_zoo(state, device=device, name=card.name, precision=precision).net


def _not_enlarging(
    card: ModelCard,
    device: Device,
    read_asset: Callable[[str], bytes],
    precision: Precision,
    tensorrt: bool,
) -> Net:
    raise UsageError(f"model {card.name!r} makes in-betweens, it cannot enlarge")


_OPENERS: dict[Format, _Opener] = {
    "shelf": _open_shelf,
    "onnx": _open_onnx,
    "spandrel": _open_zoo,
    "rife": _not_enlarging,
}
