"""OpenVINO in a worker: graphs compiled for one thread, with the same result every time.

A network of the shelf that has `graph.py` beside `net.py` can be run so: the same function, built
from the same weights, without torch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster.errors import ClusterError
from tasks.models.engine import is_bf16

Floats = NDArray[np.float32]
Run = Callable[..., Floats]
"""The inputs in the graph's order, each (N, …) float32, to its one output, which the next call
overwrites."""


@cache
def operations() -> Any:
    """The module of OpenVINO's operations. ClusterError where OpenVINO is not installed."""
    _library()
    from openvino import opset13

    return opset13


@cache
def _library() -> Any:
    """The library, less its converter, which reports to its makers each time it is imported."""
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise ClusterError(
            "OpenVINO is not installed",
            remedy="pip install 'douga[fast]' on every worker, or say precision: exact",
        ) from error
    return openvino


@cache
def _core() -> Any:
    return _library().Core()


def compile_graph(output: Any, inputs: list[Any], *, engine: str) -> Run:
    """A graph ready on this CPU, in the arithmetic that `engine` names.

    One thread, always, as for torch. Memory is kept from call to call.
    """
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if is_bf16(engine) else "f32",
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }
    model = _library().Model([output], inputs, "graph")
    request = _core().compile_model(model, "CPU", options).create_infer_request()

    def run(*values: Floats) -> Floats:
        given = {at: np.ascontiguousarray(value) for at, value in enumerate(values)}
        made: Floats = request.infer(given, share_inputs=True, share_outputs=True)[0]
        return made

    return run


def parameter(*shape: int) -> Any:
    """An input of a graph: float32 of this shape."""
    return operations().parameter(list(shape), np.float32)


def convolution(
    x: Any, weight: Floats, bias: Floats | None = None, *, stride: int = 1, padding: int = 0
) -> Any:
    """A 2D convolution of (N, C, H, W) with a `weight` (O, C, h, w) and a `bias` (O,)."""
    op = operations()
    steps, sides = [stride, stride], [padding, padding]
    x = op.convolution(x, weight, steps, sides, sides, [1, 1])
    return x if bias is None else op.add(x, bias.reshape(1, -1, 1, 1))


def cropped(x: Any, inset: int) -> Any:
    """(N, C, H, W) without `inset` pixels on every side."""
    if not inset:
        return x
    begin, step, axes = (np.array(pair) for pair in ([inset] * 2, [1, 1], [2, 3]))
    return operations().slice(x, begin, -begin, step, axes)


def moved(x: Any, *axes: int) -> Any:
    """The axes of a tensor in another order."""
    return operations().transpose(x, np.array(axes))
