"""The stage `interpolate` with networks that users bring: theirs draw, its rules stay."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from cluster.errors import StageError, UsageError
from tasks.frames.codes import from_uint8, to_uint8
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track
from tasks.models.device import Device
from tasks.stages.registry import make_stage
from tasks.stages.stage import Window

HEIGHT, WIDTH = 72, 100  # neither is a multiple of what RIFE takes


def rife_four_six():
    """A state dict as RIFE 4.6 has it, eight times thinner, all zero: no flow, an even mask."""
    shapes = {}
    for index, full in enumerate((192, 128, 96, 64)):
        width, taken, block = full // 8, 7 if index == 0 else 12, f"block{index}."
        shapes[f"{block}conv0.0.0"] = (width // 2, taken, 3, 3)
        shapes[f"{block}conv0.1.0"] = (width, width // 2, 3, 3)
        for number in range(8):
            shapes[f"{block}convblock.{number}.conv"] = (width, width, 3, 3)
        shapes[f"{block}lastconv.0"] = (width, 24, 4, 4)
    state = {}
    for name, shape in shapes.items():
        state[f"module.{name}.weight"] = torch.zeros(shape)
        state[f"module.{name}.bias"] = torch.zeros(24 if "lastconv" in name else shape[0])
        if ".convblock." in name:
            beta = name.replace("conv", "beta").replace("betablock", "convblock")
            state[f"module.{beta}"] = torch.ones(1, shape[0], 1, 1)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def moving(x):
    picture = np.full((HEIGHT, WIDTH, 3), (240, 205, 180), np.uint8)
    cv2.circle(picture, (x, 36), 16, (190, 40, 60), -1, cv2.LINE_AA)
    return picture


@pytest.fixture
def window():
    frames = from_uint8(np.stack([moving(40), moving(44)]))
    track = Track(
        picture=Picture(width=WIDTH, height=HEIGHT),
        times=(Fraction(0), Fraction(1, 24)),
        end=Fraction(2, 24),
        rate=Fraction(24),
    )
    return Window(track=track, indices=(0, 1), frames_nhwc=frames)


def test_a_rife_network_draws_what_moves_at_any_size(add, window):
    add("rife", rife_four_six(), verb="interpolate")
    stage = make_stage("interpolate", {"factor": 2, "engine": "network", "model": "rife"})
    stage.setup(Device(), lambda path: Path(path).read_bytes())
    made = stage.process(window, Span(0, 4))
    assert np.array_equal(made[0], window.frames_nhwc[0])
    assert np.array_equal(made[2], window.frames_nhwc[1])
    mixed = (moving(40).astype(np.float32) + moving(44)) / 2
    assert np.abs(to_uint8(made[1]).astype(np.float32) - mixed).max() <= 1  # no flow: the average
    stage.close()
    with pytest.raises(StageError, match="not set up"):
        stage.process(window, Span(0, 2))


def test_a_worker_needs_no_models_folder(add, window, own_models, tmp_path):
    card = add("rife", rife_four_six(), verb="interpolate")
    data = Path(card.asset).read_bytes()
    params = {"factor": 2, "engine": "network", "model": "rife"}
    planned = make_stage("interpolate", params)
    assert planned.assets() == (card.asset,)
    assert planned.card().model == card.sha256
    told = planned.looked_up({card.asset: card.sha256})
    own_models.rename(tmp_path / "gone")
    elsewhere = make_stage("interpolate", {**params, **told})
    elsewhere.setup(Device(), lambda path: data)
    assert elsewhere.process(window, Span(1, 2)).shape == (1, HEIGHT, WIDTH, 3)


def test_a_file_that_changed_is_refused_before_anything_is_rendered(add):
    card = add("rife", rife_four_six(), verb="interpolate")
    stage = make_stage("interpolate", {"factor": 2, "engine": "network", "model": "rife"})
    with pytest.raises(StageError, match="the file has changed"):
        stage.looked_up({card.asset: "0" * 64})


def test_words_that_do_not_go_together_are_usage_errors(add):
    add("rife", rife_four_six(), verb="interpolate")
    for params, message in (
        ({"model": "upscale2x"}, "model 'upscale2x' does upscale, not interpolate"),
        ({"model": "rofe"}, "did you mean 'rife'"),
        ({"model": "rife", "precision": "fp16"}, "precision"),
        ({"model": "rife", "engine": "dis"}, "expected model and precision with engine=network"),
    ):
        with pytest.raises(UsageError, match=message):
            make_stage("interpolate", {"factor": 2, "engine": "network", **params})
