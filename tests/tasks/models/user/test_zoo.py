"""PyTorch upscalers through spandrel, by a stand-in of its interface (it needs torchvision)."""

from __future__ import annotations

import io
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from cluster.errors import ClusterError, InputError
from tasks.frames.codes import from_uint8
from tasks.models.device import Device
from tasks.training.upscaling.drawings import draw
from tests.tasks.models.user.test_upscaling_with import run


class Doubler(nn.Module):
    """Two padded convolutions and a pixel shuffle."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 8, 3, 1, 1)
        self.second = nn.Conv2d(8, 4 * channels, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        near = torch.nn.functional.interpolate(x, scale_factor=2.0)
        shuffled = torch.nn.functional.pixel_shuffle(self.second(self.first(x).relu()), 2)
        return near + 0.1 * shuffled


@dataclass
class ImageModelDescriptor:
    """What spandrel 0.4 tells of a model, as far as we ask."""

    model: nn.Module
    architecture: Any
    scale: int
    input_channels: int
    output_channels: int
    supports_bfloat16: bool


class UnsupportedModelError(Exception):
    """What spandrel raises for a layout it does not know."""


class ModelLoader:
    """Knows `Doubler` only."""

    def load_from_state_dict(self, state: dict[str, torch.Tensor]) -> ImageModelDescriptor:
        if "first.weight" not in state:
            raise UnsupportedModelError
        channels = state["first.weight"].shape[1]
        model = Doubler(channels)
        model.load_state_dict(state)
        name = types.SimpleNamespace(name="Doubler")
        return ImageModelDescriptor(model, name, 2, channels, channels, True)


@pytest.fixture(autouse=True)
def spandrel(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("spandrel")
    module.ModelLoader = ModelLoader
    module.UnsupportedModelError = UnsupportedModelError
    module.ImageModelDescriptor = ImageModelDescriptor
    monkeypatch.setitem(sys.modules, "spandrel", module)


def weights(*, channels: int = 3) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(Doubler(channels).state_dict())


def as_pth(state: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (save(weights()), "weights.safetensors"),
        (as_pth(weights()), "weights.pth"),
        (as_pth({"params_ema": weights(), "iteration": 5}), "weights.pth"),
    ],
    ids=["safetensors", "pth", "wrapped pth"],
)
def test_upscalers_are_recognised_and_measured(add, data, name):
    card = add("double", data)
    assert (card.format, card.scale, card.multiple, card.weights) == ("spandrel", 2, 1, name)
    assert 2 <= card.halo <= 5
    assert card.precisions == ("fp32", "bf16")
    assert card.parameters == sum(tensor.numel() for tensor in weights().values())


@pytest.mark.parametrize("tile", [64, 101])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_tiles_equal_whole_bit_for_bit(add, tile, precision):
    add("double", save(weights()))
    frames = from_uint8(draw(99, 0, edge=256)[:171, :243])[None]
    whole = run(frames, model="double", precision=precision)
    assert np.array_equal(run(frames, model="double", precision=precision, tile=tile), whole)


def test_frames_are_what_the_network_makes(add):
    add("double", save(weights()))
    frames = from_uint8(draw(99, 1, edge=128))[None]
    model = Doubler()
    model.load_state_dict(weights())
    signal = (frames[0].astype(np.float32) - 16384) / 16384
    with torch.inference_mode():
        made = model(torch.from_numpy(signal).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    off = (run(frames, model="double")[0].astype(np.float32) - 16384) / 16384 - made
    assert np.abs(off).max() < 1 / 1024


def test_an_unknown_layout_is_refused(add, own_models):
    with pytest.raises(InputError, match="unknown layout: neither RIFE's nor one that spandrel"):
        add("odd", save({"layer.weight": torch.zeros(2)}))
    assert not list(own_models.iterdir())


def test_other_channels_are_refused(add):
    with pytest.raises(InputError, match=r"Doubler takes 1 channel\(s\) and makes 1"):
        add("grey", save(weights(channels=1)))


def test_a_worker_without_the_extra_says_so(add, monkeypatch):
    add("double", save(weights()))
    monkeypatch.setitem(sys.modules, "spandrel", None)
    frames = from_uint8(draw(99, 1, edge=64))[None]
    with pytest.raises(ClusterError, match=r"pip install 'douga\[zoo\]' here and on every worker"):
        run(frames, model="double")


def test_a_worker_never_falls_back_to_the_cpu(add):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    add("double", save(weights()))
    from tasks.stages.registry import make_stage

    stage = make_stage("upscale", {"model": "double"})
    with pytest.raises(ClusterError, match="torch sees none"):
        stage.setup(Device(kind="cuda"), lambda path: Path(path).read_bytes())
