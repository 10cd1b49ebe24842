"""RIFE by the layout of published state dicts: names and shapes as published, values chosen."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch

from cluster.errors import InputError, UsageError
from tasks.models.user.rife import build_rife, looks_like_rife, read_layout
from tasks.models.user.state import read_state
from tasks.stages.registry import make_stage

WIDE = (192, 128, 96, 64)
LAYOUTS: dict[str, dict[str, Any]] = {
    "4.6": {"widths": WIDE},
    "4.7": {"widths": WIDE, "head": [16], "features": 4, "names": "01"},
    "4.10": {"widths": WIDE, "head": [32, 32, 32], "features": 8, "names": "0246"},
    "4.15": {"widths": WIDE, "head": [32, 32, 32], "features": 8, "names": "cnn"},
    "4.22-lite": {
        "widths": (192, 128, 64, 32),
        "head": [16, 16, 16],
        "features": 4,
        "names": "cnn",
        "made": 13,
    },
    "4.25": {
        "widths": (*WIDE, 32),
        "head": [16, 16, 16],
        "features": 4,
        "names": "cnn",
        "made": 13,
        "training": True,
    },
}


def published(version, *, narrow=8, prefix="module.", seed=0, spread=0.02):
    """A state dict as that version's file has it, `narrow` times thinner, random."""
    random = torch.Generator().manual_seed(seed)
    layout = LAYOUTS[version]
    features, made = layout.get("features", 0), layout.get("made", 6)
    shapes: dict[str, tuple[int, ...]] = {}
    for index, full in enumerate(layout["widths"]):
        width = full // narrow
        taken = (
            7 + 2 * features if index == 0 else 12 + 2 * features + (made - 5 if made > 6 else 0)
        )
        block = f"block{index}."
        shapes[f"{block}conv0.0.0.weight"] = (width // 2, taken, 3, 3)
        shapes[f"{block}conv0.0.0.bias"] = (width // 2,)
        shapes[f"{block}conv0.1.0.weight"] = (width, width // 2, 3, 3)
        shapes[f"{block}conv0.1.0.bias"] = (width,)
        for number in range(8):
            shapes[f"{block}convblock.{number}.beta"] = (1, width, 1, 1)
            shapes[f"{block}convblock.{number}.conv.weight"] = (width, width, 3, 3)
            shapes[f"{block}convblock.{number}.conv.bias"] = (width,)
        shapes[f"{block}lastconv.0.weight"] = (width, 4 * made, 4, 4)
        shapes[f"{block}lastconv.0.bias"] = (4 * made,)
    if features:
        widths = [3, *layout["head"]]
        named = layout["names"]
        names = [f"cnn{i}" for i in range(4)] if named == "cnn" else list(named)
        for name, before, after in zip(names, widths, widths[1:], strict=False):
            shapes[f"encode.{name}.weight"] = (after, before, 3, 3)
            shapes[f"encode.{name}.bias"] = (after,)
        shapes[f"encode.{names[-1]}.weight"] = (widths[-1], features, 4, 4)
        shapes[f"encode.{names[-1]}.bias"] = (features,)
    if layout.get("training"):
        shapes["teacher.conv0.0.0.weight"] = (4, 3, 3, 3)
        shapes["caltime.0.weight"] = (4, 25, 3, 3)
    return {
        prefix + name: torch.randn(shape, generator=random) * spread
        for name, shape in shapes.items()
    }


def silent(version, **more):
    """The same with every value zero: no flow, an even mask."""
    return published(version, spread=0.0, **more)


def set_output(state, block, channel, value):
    """A block's output channel made constant: four biases become 2x2 pixels."""
    state[f"module.block{block}.lastconv.0.bias"][4 * channel : 4 * channel + 4] = value


def frames(height=128, width=192):
    random = torch.Generator().manual_seed(1)
    return torch.rand(2, 1, 3, height, width, generator=random)


each_version = pytest.mark.parametrize("version", LAYOUTS)


@each_version
def test_every_published_layout_makes_a_frame(version):
    state = published(version)
    assert looks_like_rife(state)
    net = build_rife(state)
    assert net.multiple == (64 if version == "4.25" else 32)
    a, b = frames()
    with torch.inference_mode():
        made = net(a, b, 0.25)
        later = net(a, b, 0.75)
    assert made.shape == a.shape
    assert made.dtype == torch.float32
    assert torch.isfinite(made).all()
    assert not torch.equal(made, later)


@each_version
def test_without_flow_and_mask_it_is_the_average(version):
    a, b = frames()
    with torch.inference_mode():
        made = build_rife(silent(version))(a, b, 0.5)
    assert torch.allclose(made, (a + b) / 2, atol=1e-4)


@each_version
@pytest.mark.parametrize(("channel", "axis"), [(0, 3), (1, 2)])
def test_flow_is_in_pixels_and_points_into_the_first_frame(version, channel, axis):
    state = silent(version)
    last = len(LAYOUTS[version]["widths"]) - 1
    set_output(state, last, channel, 3.0)
    set_output(state, last, 4, 40.0)  # the mask: all of the first frame
    a, b = frames()
    with torch.inference_mode():
        made = build_rife(state)(a, b, 0.5)
    moved = torch.roll(a, -3, dims=axis)
    inner = (..., slice(0, -8), slice(0, -8))
    assert torch.allclose(made[inner], moved[inner], atol=1e-3)


@each_version
def test_coarse_flow_counts_by_its_scale(version):
    state = silent(version)
    count = len(LAYOUTS[version]["widths"])
    set_output(state, 0, 2, 1.0)  # the second frame's x, one pixel at the coarsest scale
    set_output(state, count - 1, 4, -40.0)
    a, b = frames()
    with torch.inference_mode():
        made = build_rife(state)(a, b, 0.5)
    shift = 1 << (count - 1)
    inner = (..., slice(None), slice(0, -2 * shift))
    assert torch.allclose(made[inner], torch.roll(b, -shift, dims=3)[inner], atol=1e-3)


@pytest.mark.parametrize(("version", "kept"), [("4.6", True), ("4.7", False), ("4.25", False)])
def test_the_mask_adds_up_only_where_nothing_is_encoded(version, kept):
    state = silent(version)
    set_output(state, 0, 4, 40.0)
    a, b = frames()
    with torch.inference_mode():
        made = build_rife(state)(a, b, 0.5)
    assert torch.allclose(made, a if kept else (a + b) / 2, atol=1e-3)


def test_what_a_layout_says_is_read():
    layout = read_layout(published("4.25", narrow=1))
    assert layout.widths == (192, 128, 96, 64, 32)
    assert (layout.depth, layout.features, layout.head, layout.carried) == (8, 4, (16, 16, 16), 8)
    assert read_layout(published("4.6", narrow=1)).features == 0


def old(state):
    """As before 4.6: no beta."""
    return {name: value for name, value in state.items() if not name.endswith("beta")}


def test_versions_before_four_six_are_not_taken_for_it():
    assert not looks_like_rife(old(published("4.6")))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.pop("module.block2.conv0.0.0.bias"),
        lambda state: state.update({"module.unet.weight": torch.zeros(1)}),
        lambda state: state.update({"module.block1.conv0.0.0.weight": torch.zeros(8, 5, 3, 3)}),
        lambda state: state.pop("module.block1.convblock.0.beta"),
    ],
    ids=["missing", "too much", "another shape", "a block less"],
)
def test_anything_else_is_an_unknown_layout(spoil):
    state = published("4.6")
    spoil(state)
    with pytest.raises(InputError, match=r"unknown layout .* RIFE 4\.6 to 4\.26"):
        build_rife(state)


def as_pkl(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("version", ["4.6", "4.25"])
def test_weights_are_registered_as_an_interpolator(add, version):
    state = published(version)
    card = add("rife", as_pkl(state), verb="interpolate")
    assert (card.verb, card.format, card.frames, card.halo) == ("interpolate", "rife", 2, None)
    assert card.multiple == (64 if version == "4.25" else 32)
    assert card.memory_bytes_per_megapixel > 0
    loaded = read_state(Path(card.asset).read_bytes(), name="rife")
    a, b = frames()
    with torch.inference_mode():
        assert torch.equal(build_rife(loaded)(a, b, 0.5), build_rife(state)(a, b, 0.5))


def test_an_interpolator_is_no_upscaler(add, own_models):
    with pytest.raises(InputError, match="a network for interpolate, not upscale"):
        add("rife", as_pkl(published("4.6")), verb="upscale")
    assert not list(own_models.iterdir())
    add("rife", as_pkl(published("4.6")))
    with pytest.raises(UsageError, match="model 'rife' does interpolate, not upscale"):
        make_stage("upscale", {"model": "rife"})
