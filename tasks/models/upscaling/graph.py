"""The network of `net.py` as OpenVINO's graph, from the same weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tasks.models.openvino_graph import (
    Floats,
    Run,
    compile_graph,
    convolution,
    cropped,
    moved,
    operations,
    parameter,
)
from tasks.models.shelf import ModelCard
from tasks.models.upscaling.taps import BASE_REACH, enlarging_taps


def build(
    card: ModelCard, weights: Mapping[str, Floats], *, height: int, width: int, engine: str
) -> Run:
    """Runs windows (1, `height`, `width`, 3), halo included: to `scale` times the rest.

    The Lanczos base is the middle pixel and what the filter adds to it. Only the latter is
    multiplied, so that bf16 costs flat paint next to nothing: 81 dB, where it is 59 dB otherwise.
    """
    op = operations()
    layers, scale = card.shape["layers"], card.scale
    window = parameter(1, height, width, 3)
    planes = moved(window, 0, 3, 1, 2)
    x = op.clamp(planes, 0, 1)
    for layer in range(layers):
        x = convolution(x, weights[f"convs.{layer}.weight"], weights[f"convs.{layer}.bias"])
        if layer < layers - 1:
            x = op.relu(x)
    added = convolution(cropped(planes, layers - BASE_REACH), _added_by_filter(scale))
    channels = np.repeat(np.arange(3), scale**2)
    middle = op.gather(cropped(planes, layers), channels, np.int32(1))
    made = op.depth_to_space(op.add(op.add(added, x), middle), "depth_first", scale)
    return compile_graph(moved(made, 0, 2, 3, 1), [window], engine=engine)


def _added_by_filter(scale: int) -> Floats:
    """The filter of `enlarging_kernel`, less the pixel in its middle."""
    phases = np.array(enlarging_taps("lanczos", factor=scale), np.float32)
    squares = np.einsum("ya,xb->yxab", phases, phases)
    squares[..., BASE_REACH, BASE_REACH] -= 1
    edge = 2 * BASE_REACH + 1
    kernel = np.zeros((3, scale, scale, 3, edge, edge), np.float32)
    for channel in range(3):
        kernel[channel, :, :, channel] = squares
    return kernel.reshape(3 * scale**2, 3, edge, edge)
