"""PyTorch upscalers of the usual architectures, recognised and built by spandrel.

spandrel (MIT, github.com/chaiNNer-org/spandrel) needs torchvision, so that it is the optional
extra `douga[zoo]` and imported only where such a model is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cluster.errors import ClusterError, InputError
from tasks.models.device import Device
from tasks.models.enlarge import Net, Signal
from tasks.models.shelf import Precision
from tasks.models.torch_setup import start_torch
from tasks.models.user.state import State

if TYPE_CHECKING:
    import torch

_CHANNELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooModel:
    """An opened PyTorch upscaler and what spandrel says of it."""

    net: Net
    architecture: str
    scale: int
    precisions: tuple[Precision, ...]


def open_zoo(state: State, *, device: Device, name: str, precision: Precision = "fp32") -> ZooModel:
    """The network that a state dict is of, in float32 or under autocast, on a device.

    Errors: ClusterError where spandrel is not installed; InputError where it does not know the
    layout, or the network is not one R'G'B' picture in, one out.
    """
    spandrel = _spandrel(name)
    place = start_torch(device)
    try:
        descriptor = spandrel.ModelLoader().load_from_state_dict(state)
    except spandrel.UnsupportedModelError as error:
        raise InputError(
            "unknown layout: neither RIFE's nor one that spandrel knows",
            where=f"model {name}",
            remedy="export it to ONNX with dynamic height and width",
        ) from error
    channels = descriptor.input_channels, descriptor.output_channels
    if channels != (_CHANNELS, _CHANNELS) or not isinstance(
        descriptor, spandrel.ImageModelDescriptor
    ):
        raise InputError(
            f"{descriptor.architecture.name} takes {channels[0]} channel(s) and makes "
            f"{channels[1]}, expected 3 and 3 (one R'G'B' picture in, one out)",
            where=f"model {name}",
        )
    network = descriptor.model.eval().requires_grad_(False).float().to(place)
    return ZooModel(
        net=_run(network, place, precision),
        architecture=descriptor.architecture.name,
        scale=descriptor.scale,
        precisions=("fp32", "bf16") if descriptor.supports_bfloat16 else ("fp32",),
    )


def _run(network: torch.nn.Module, place: torch.device, precision: Precision) -> Net:
    import torch

    def run(window: Signal) -> Signal:
        frame = torch.from_numpy(np.ascontiguousarray(window)).permute(2, 0, 1)[None]
        with (
            torch.inference_mode(),
            torch.autocast(place.type, torch.bfloat16, enabled=precision == "bf16"),
        ):
            made = network(frame.to(place))
        return made[0].permute(1, 2, 0).float().cpu().numpy()  # type: ignore[no-any-return]

    return run


def _spandrel(name: str) -> Any:
    try:
        import spandrel
    except ImportError as error:
        raise ClusterError(
            f"PyTorch upscalers need the extra 'zoo' ({error})",
            where=f"model {name}",
            remedy="pip install 'douga[zoo]' here and on every worker",
        ) from error
    return spandrel
