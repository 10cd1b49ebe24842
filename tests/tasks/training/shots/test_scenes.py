"""Generated shots: repeatable, the same at any size, and true in everything they say."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.training.shots.motion import pose_at, to_material, to_screen
from tasks.training.shots.render import Rendering, flow_to, hidden_at, render, screen_grid
from tasks.training.shots.scene import CELLS, LAYERS, Scenes, draw_scenes

EDGE = 128


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return draw_scenes(seed=3, first=0, count=8, liveliness=2.0)


@pytest.fixture(scope="module")
def at_zero(scenes: Scenes) -> Rendering:
    return render(scenes, 0.0, height=EDGE, width=EDGE)


@pytest.fixture(scope="module")
def at_two(scenes: Scenes) -> Rendering:
    return render(scenes, 2.0, height=EDGE, width=EDGE)


def test_a_scene_is_the_same_in_any_batch(scenes: Scenes, at_zero: Rendering) -> None:
    alone = draw_scenes(seed=3, first=5, count=1, liveliness=2.0)
    for field in fields(Scenes):
        assert torch.equal(getattr(alone, field.name)[0], getattr(scenes, field.name)[5])
    again = render(alone, 0.0, height=EDGE, width=EDGE)
    assert (again.frame[0] - at_zero.frame[5]).abs().max() < 1e-5


def test_another_seed_is_another_shot(scenes: Scenes) -> None:
    assert not torch.equal(draw_scenes(seed=4, first=0, count=8).paint, scenes.paint)


def test_the_same_frame_comes_at_any_resolution(scenes: Scenes, at_zero: Rendering) -> None:
    large = render(scenes, 0.0, height=2 * EDGE, width=2 * EDGE)
    error = (F.avg_pool2d(large.frame, 2) - at_zero.frame).square().mean((1, 2, 3))
    assert float((-10 * error.log10()).min()) > 25
    same = large.region[:, ::2, ::2] == at_zero.region
    assert float(same.float().mean()) > 0.97


def test_material_and_screen_are_each_others_inverse(scenes: Scenes) -> None:
    x, y = screen_grid(16, 16, scenes.device)
    pose = pose_at(scenes, torch.full((8,), 1.5))
    for layer in range(LAYERS):
        here = pose.of_layer(layer)
        harmonics = scenes.harmonics[:, layer, None, None]
        if float(here.x.abs().max()) > 10:  # a blank, far off the screen
            continue
        u, v = to_material(here, harmonics, x, y)
        back_x, back_y = to_screen(here, harmonics, u, v)
        assert (back_x - x).abs().max() < 1e-3
        assert (back_y - y).abs().max() < 1e-3


def test_flow_leads_to_the_same_paint(
    scenes: Scenes, at_zero: Rendering, at_two: Rendering
) -> None:
    for here, there in ((at_zero, at_two), (at_two, at_zero)):
        flow = flow_to(scenes, here, there.time)
        shown = ~hidden_at(here, flow, there) & ~_near_an_edge(here) & (here.ink < 0.05)
        apart = (_carried(there.frame, flow) - here.frame).abs().mean(1)
        unmoved = (there.frame - here.frame).abs().mean(1)
        moved = shown & (flow.norm(dim=1) > 3)
        assert moved.sum() > 1000
        assert float(apart[moved].mean()) < 0.25 * float(unmoved[moved].mean())
        assert float(apart[shown].mean()) < 0.01


def test_a_region_keeps_its_number(scenes: Scenes, at_zero: Rendering, at_two: Rendering) -> None:
    flow = flow_to(scenes, at_zero, 2.0)
    shown = ~hidden_at(at_zero, flow, at_two) & ~_near_an_edge(at_zero)
    landed = _carried(at_two.region[:, None].float(), flow, mode="nearest")[:, 0].long()
    assert float((landed == at_zero.region)[shown].float().mean()) > 0.97


def test_what_is_covered_is_called_hidden(scenes: Scenes, at_zero: Rendering) -> None:
    """Where nothing moves nothing hides; what is moved off the screen does."""
    still = torch.zeros(8, 2, EDGE, EDGE)
    assert not hidden_at(at_zero, still, at_zero).any()
    away = still.clone()
    away[:, 0] = EDGE
    assert hidden_at(at_zero, away, at_zero).all()


def test_regions_show_their_palette(scenes: Scenes) -> None:
    """Plain regions (no gradient, texture, shade, ink or light) are their palette's colour."""
    plain = replace(
        scenes,
        gradient=torch.zeros_like(scenes.gradient),
        texture_strength=torch.zeros_like(scenes.texture_strength),
        patches=torch.zeros_like(scenes.patches),
        shade=scenes.shade * torch.tensor([1.0, 1.0, 0.0, 0.0])
        + torch.tensor([0.0, 0.0, 50.0, 1.0]),
        line=torch.zeros_like(scenes.line),
        inner_line=torch.zeros_like(scenes.inner_line),
        light=torch.tensor([0.0, 1.0, 0.0]).expand(8, 3),
    )
    made = render(plain, 0.0, height=EDGE, width=EDGE)
    inside = ~_near_an_edge(made)
    rows = torch.arange(8)[:, None, None].expand_as(made.region)
    expected = plain.palette[rows, made.region - 1].permute(0, 3, 1, 2)
    apart = (made.frame - expected).abs().amax(1)
    # Slivers thinner than a pixel have a colour but no region of their own.
    assert float((apart[inside] < 0.02).float().mean()) > 0.995


def test_a_line_drawing_is_paper_but_for_its_ink(at_zero: Rendering) -> None:
    drawing = at_zero.drawing[:, 0]
    assert float(drawing[at_zero.ink == 0].min()) > 0.99
    assert float(drawing[at_zero.ink > 0.99].max()) < 0.01
    assert 0.005 < float((drawing < 0.5).float().mean()) < 0.3


def test_animation_on_twos_holds_every_second_frame(scenes: Scenes) -> None:
    twos = replace(
        scenes,
        step=torch.full_like(scenes.step, 2.0),
        step_shift=torch.zeros_like(scenes.step_shift),
        camera=torch.zeros_like(scenes.camera),
        light=torch.tensor([0.0, 1.0, 0.0]).expand(8, 3),
    )
    frames = [render(twos, t, height=64, width=64, stepped=True).frame for t in range(4)]
    assert torch.equal(frames[0], frames[1])
    assert torch.equal(frames[2], frames[3])
    assert not torch.equal(frames[1], frames[2])
    between = render(twos, 0.5, height=64, width=64).frame
    assert not torch.equal(between, frames[0])  # the true in-between is there all the same


def test_flashes_and_fades_change_the_light_alone(scenes: Scenes) -> None:
    plain = replace(scenes, light=torch.tensor([0.0, 1.0, 0.0]).expand(8, 3))
    flash = replace(scenes, light=torch.tensor([0.0, 2.0, 1.0]).expand(8, 3))
    fade = replace(scenes, light=torch.tensor([0.0, 20.0, -1.0]).expand(8, 3))
    seen = {
        name: [render(kind, t, height=32, width=32) for t in (0.0, 1.0, 3.0)]
        for name, kind in (("plain", plain), ("flash", flash), ("fade", fade))
    }
    assert float(seen["flash"][0].frame.min()) == 1.0
    assert torch.equal(seen["flash"][2].frame, seen["plain"][2].frame)
    assert float(seen["fade"][0].frame.max()) == 0.0
    assert 0 < float(seen["fade"][2].frame.mean()) < float(seen["plain"][2].frame.mean())
    assert torch.equal(seen["fade"][2].region, seen["plain"][2].region)


def test_regions_are_numbered_by_layer_and_cell(at_zero: Rendering) -> None:
    assert torch.equal((at_zero.region - 1) // CELLS, at_zero.layer)


def _carried(picture: Tensor, flow: Tensor, *, mode: str = "bilinear") -> Tensor:
    height, width = flow.shape[2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x = (columns + flow[:, 0] + 0.5) * 2 / width - 1
    y = (rows + flow[:, 1] + 0.5) * 2 / height - 1
    return F.grid_sample(
        picture, torch.stack([x, y], -1), mode=mode, padding_mode="border", align_corners=False
    )


def _near_an_edge(rendering: Rendering) -> Tensor:
    """Pixels within two of another region."""
    region = rendering.region[:, None].float()
    wide = F.pad(region, (2, 2, 2, 2), mode="replicate")
    differs = F.max_pool2d(wide, 5, 1) != -F.max_pool2d(-wide, 5, 1)
    return differs[:, 0]
