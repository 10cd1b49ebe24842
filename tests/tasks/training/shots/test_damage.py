"""Every damage is repeatable, does what it says, and leaves alone what it should."""

from typing import Any

import numpy as np
import pytest
import torch

from tasks.training.shots.damage import (
    Wear,
    blur,
    box_blur,
    compress_as_video,
    grain,
    ring,
    roughen,
    soften_chroma,
    speckle,
    wear_down,
)
from tasks.training.upscaling.drawings import draw


def drawings(count, *, edge=64):
    pixels = np.stack([draw(9, index, edge=edge) for index in range(count)])
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(0, 3, 1, 2)


def each(value, count=4):
    return torch.full((count,), value)


DAMAGES = {
    "blur": lambda p, _: blur(p, sigma=each(0.8)),
    "box_blur": lambda p, _: box_blur(p, width=each(3.0)),
    "ring": lambda p, _: ring(p, amount=each(0.6)),
    "grain": lambda p, seed: grain(p, strength=each(0.02), size=0.5, seed=seed),
    "soften_chroma": lambda p, _: soften_chroma(p),
    "roughen": lambda p, seed: roughen(p, amount=each(0.4), seed=seed),
    "speckle": lambda p, seed: speckle(p, density=each(0.001), seed=seed),
    "compress_as_video": lambda p, seed: compress_as_video(p, crf=each(30), seed=seed),
    "wear_down": lambda p, seed: wear_down(p, seed=seed),
}
CHANCE = ("grain", "roughen", "speckle", "compress_as_video", "wear_down")
NO_TRACE_ON_PAINT = ("blur", "box_blur", "ring", "soften_chroma", "roughen")


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_done_within_range_and_leaves_its_input_alone(name):
    pictures = drawings(4)
    before = pictures.clone()
    made = DAMAGES[name](pictures, 5)
    assert torch.equal(pictures, before)
    assert made.shape == pictures.shape
    assert made.min() >= 0
    assert made.max() <= 1 + 1e-6
    assert (made - pictures).abs().mean() > 1e-4


@pytest.mark.parametrize("name", DAMAGES)
def test_the_same_seed_does_the_same_damage_and_another_seed_another(name):
    pictures = drawings(4)
    made = DAMAGES[name](pictures, 5)
    assert torch.equal(made, DAMAGES[name](pictures, 5))
    assert torch.equal(made, DAMAGES[name](pictures, 6)) == (name not in CHANCE)


@pytest.mark.parametrize("name", NO_TRACE_ON_PAINT)
def test_flat_paint_is_left_as_it_is(name):
    paint = torch.tensor([0.2, 0.7, 0.4]).view(1, 3, 1, 1).expand(4, 3, 40, 40).contiguous()
    assert torch.allclose(DAMAGES[name](paint, 5), paint, atol=1e-4)


def test_nothing_asked_for_is_nothing_done():
    pictures = drawings(4)
    assert torch.allclose(blur(pictures, sigma=each(0.0)), pictures, atol=1e-6)
    assert torch.allclose(box_blur(pictures, width=each(1.0)), pictures, atol=1e-6)
    assert torch.allclose(ring(pictures, amount=each(0.0)), pictures, atol=1e-6)
    assert torch.equal(grain(pictures, strength=each(0.0), size=0, seed=1), pictures)
    assert torch.allclose(roughen(pictures, amount=each(0.0), seed=1), pictures, atol=1e-5)
    assert torch.equal(speckle(pictures, density=each(0.0), seed=1), pictures)


def test_each_picture_gets_its_own_strength():
    pictures = drawings(1).repeat(2, 1, 1, 1)
    made = blur(pictures, sigma=torch.tensor([0.3, 1.5]))
    assert torch.equal(made[1:], blur(pictures[1:], sigma=torch.tensor([1.5])))
    sharp = [float((picture[:, 1:] - picture[:, :-1]).abs().mean()) for picture in made]
    assert sharp[1] < 0.8 * sharp[0]


def test_blur_spreads_a_dot_by_its_sigma():
    dot = torch.zeros(1, 3, 31, 31)
    dot[..., 15, 15] = 1
    spread = blur(dot, sigma=torch.tensor([1.2]))[0, 0]
    at = torch.arange(31.0) - 15
    assert float(spread.sum()) == pytest.approx(1, abs=1e-4)
    assert float((spread.sum(0) * at**2).sum()) == pytest.approx(1.2**2, rel=0.02)


def test_ringing_overshoots_beside_an_edge():
    edge = torch.full((1, 3, 20, 20), 0.3)
    edge[..., 10:] = 0.6
    made = ring(edge, amount=torch.tensor([1.0]))
    assert made[0, 0, 10, 9] < 0.27
    assert made[0, 0, 10, 10] > 0.63


def test_grain_has_the_strength_asked_for_and_less_colour_than_light():
    paint = torch.full((2, 3, 96, 96), 0.5)
    noise = grain(paint, strength=torch.tensor([0.01, 0.03]), size=0.6, seed=3) - paint
    assert noise.std(dim=(1, 2, 3)).tolist() == pytest.approx([0.01, 0.03], rel=0.05)
    light = noise.mean(1)
    assert (noise - light[:, None]).std() < 0.5 * light.std()


def test_softened_chroma_keeps_luma():
    pictures = drawings(4) * 0.4 + 0.3
    luma = torch.tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)
    made = soften_chroma(pictures)
    assert torch.allclose((made * luma).sum(1), (pictures * luma).sum(1), atol=2e-3)


def test_rough_lines_move_about_as_far_as_asked():
    ramp = (torch.arange(90.0) / 100).expand(1, 3, 90, 90)
    moved = (roughen(ramp, amount=torch.tensor([0.5]), seed=2) - ramp)[..., 5:-5, 5:-5] * 100
    assert float(moved.std()) == pytest.approx(0.5, rel=0.15)


def test_speckles_are_few_and_dark_or_light():
    made = speckle(torch.full((1, 3, 200, 200), 0.5), density=torch.tensor([0.0005]), seed=1)
    touched = (made - 0.5).abs() > 0.1
    assert 0.0005 < float(touched.float().mean()) < 0.01
    assert made.min() < 0.2
    assert made.max() > 0.8


def test_wear_does_only_what_its_shares_allow():
    shares: dict[str, Any] = {n: 0.0 for n in Wear.__dataclass_fields__ if n.endswith("_share")}
    none = Wear(**shares)
    pictures = drawings(4)
    assert torch.equal(wear_down(pictures, seed=1, wear=none), pictures)
    only_jpeg = wear_down(pictures, seed=1, wear=Wear(**{**_shares(none), "jpeg_share": 1.0}))
    steps = only_jpeg * 255
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert not torch.equal(only_jpeg, pictures)


def _shares(wear):
    names = [name for name in Wear.__dataclass_fields__ if name.endswith("_share")]
    return {name: getattr(wear, name) for name in names}
