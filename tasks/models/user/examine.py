"""From a file's bytes to a card: recognise the format, open the network, measure it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from cluster.errors import InputError
from cluster.keys import Digest
from tasks.models.device import Device
from tasks.models.enlarge import Net
from tasks.models.shelf import Format, Kind, ModelCard, Precision
from tasks.models.user.probe import measure, measure_pair
from tasks.models.user.state import State, count_tensors, is_safetensors, is_torch, read_state


class Examine(Protocol):
    """Examines a file of weights, in this process or in another."""

    def __call__(self, weights: Path, *, name: str, kind: Kind, sha256: Digest) -> ModelCard: ...


def examine_file(weights: Path, *, name: str, kind: Kind, sha256: Digest) -> ModelCard:
    """`examine` of what a file holds, in this process."""
    return examine(weights.read_bytes(), name=name, kind=kind, sha256=sha256)


def examine(data: bytes, *, name: str, kind: Kind, sha256: Digest) -> ModelCard:
    """The card of the network that a file's bytes are, measured on this machine's CPU.

    Errors: InputError for anything that is no network this program can use; ClusterError where
    what it runs on is not installed.
    """
    if not data:
        raise InputError("the file is empty", where=f"model {name}")
    if is_safetensors(data) or is_torch(data):
        state = read_state(data, name=name)
        from tasks.models.user.rife import looks_like_rife

        weights = "weights.safetensors" if is_safetensors(data) else "weights.pth"
        if looks_like_rife(state):
            return _interpolator(state, name=name, sha256=sha256, weights=weights)
        return _upscaler_of_zoo(state, name=name, kind=kind, sha256=sha256, weights=weights)
    from tasks.models.user.onnx_net import open_onnx

    opened = open_onnx(data, device=Device(), name=name)
    return _upscaler(
        opened.net,
        name=name,
        kind=kind,
        sha256=sha256,
        weights="weights.onnx",
        format="onnx",
        parameters=opened.parameters,
        precisions=(opened.precision,),
    )


def _upscaler_of_zoo(
    state: State, *, name: str, kind: Kind, sha256: Digest, weights: str
) -> ModelCard:
    from tasks.models.user.zoo import open_zoo

    opened = open_zoo(dict(state), device=Device(), name=name)
    return _upscaler(
        opened.net,
        name=name,
        kind=kind,
        sha256=sha256,
        weights=weights,
        format="spandrel",
        parameters=count_tensors(state),
        precisions=opened.precisions,
    )


def _upscaler(
    net: Net,
    *,
    name: str,
    kind: Kind,
    sha256: Digest,
    weights: str,
    format: Format,
    parameters: int,
    precisions: tuple[Precision, ...],
) -> ModelCard:
    measured = measure(net, name=name)
    return ModelCard(
        name=name,
        verb="upscale",
        scale=measured.scale,
        kind=kind,
        format=format,
        halo=measured.halo,
        multiple=measured.multiple,
        padded=True,
        parameters=parameters,
        precisions=precisions,
        memory_bytes_per_megapixel=measured.memory_bytes_per_megapixel,
        weights=weights,
        sha256=sha256,
    )


def _interpolator(state: State, *, name: str, sha256: Digest, weights: str) -> ModelCard:
    from tasks.models.user.rife import build_rife, read_layout

    net = build_rife(state, name=name)
    multiple = read_layout(state, name=name).multiple
    return ModelCard(
        name=name,
        verb="interpolate",
        scale=1,
        format="rife",
        frames=2,
        halo=None,
        multiple=multiple,
        padded=True,
        parameters=count_tensors(state),
        precisions=("fp32",),
        memory_bytes_per_megapixel=measure_pair(net, multiple=multiple, name=name),
        weights=weights,
        sha256=sha256,
    )
