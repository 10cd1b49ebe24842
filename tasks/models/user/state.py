"""PyTorch weights from bytes: safetensors or torch's own file, never arbitrary pickle."""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

from cluster.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, "Tensor"]
"""Tensors by name, on the CPU."""

_WRAPPERS = ("params_ema", "params", "state_dict", "model", "net")
"""Under which names training programs put the weights beside their other notes."""


def read_state(data: bytes, *, name: str) -> State:
    """The tensors of a `.safetensors` or `.pth` file, the latter with `weights_only`.

    Errors: InputError where it is neither, or where unpickling it would run code.
    """
    if is_safetensors(data):
        return _safetensors(data, name)
    import torch

    try:
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            "it holds more than tensors, and loading that could run any program",
            where=f"model {name}",
            remedy="ask for the plain state dict, best as .safetensors",
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(
            f"it is no PyTorch file: {' '.join(str(error).split())[:200]}",
            where=f"model {name}",
        ) from error
    return _unwrapped(found, name)


def is_safetensors(data: bytes) -> bool:
    """Whether bytes begin as a safetensors file: the header's length, then its JSON."""
    return len(data) > 9 and int.from_bytes(data[:8], "little") < len(data) and data[8:9] == b"{"


def is_torch(data: bytes) -> bool:
    """Whether bytes begin as torch.save writes: a zip file, or a pickle in old versions."""
    return data[:4] == b"PK\x03\x04" or data[:1] == b"\x80"


def count_tensors(state: State) -> int:
    """How many numbers the tensors hold."""
    return sum(tensor.numel() for tensor in state.values())


def _safetensors(data: bytes, name: str) -> State:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return dict(load(data))
    except SafetensorError as error:
        raise InputError(f"it is no safetensors file: {error}", where=f"model {name}") from error


def _unwrapped(found: Any, name: str) -> State:
    import torch

    for wrapper in _WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(wrapper), dict):
            found = found[wrapper]
            break
    if not isinstance(found, dict) or not found:
        raise InputError(
            f"expected tensors by name, got {type(found).__name__}", where=f"model {name}"
        )
    wrong = [key for key, value in found.items() if not isinstance(value, torch.Tensor)]
    if wrong:
        raise InputError(
            f"expected tensors by name, {str(wrong[0])!r} is {type(found[wrong[0]]).__name__}",
            where=f"model {name}",
        )
    return {str(key): value for key, value in found.items()}
