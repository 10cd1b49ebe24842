"""The family of the upscaling networks: filters, net, drawings, a run that learns and goes on."""

import json

import cv2
import numpy as np
import pytest
import torch

from tasks.models.shelf import load_model, read_card
from tasks.models.upscaling.net import UpscaleNet, inherit
from tasks.models.upscaling.resample import enlarge, reduce
from tasks.models.upscaling.taps import FILTERS
from tasks.training.upscaling import evaluate, train
from tasks.training.upscaling.bank import EDGE, Bank
from tasks.training.upscaling.drawings import draw
from tasks.training.upscaling.lesson import Lesson, reduce_faithfully

MODELS = ("upscale2x", "upscale3x", "restore2x")
TINY = ["--channels", "8", "--layers", "4", "--batch", "2", "--crop", "64", "--bank", "4"]
BY_HAND = Lesson(
    name="upscale2x", scale=2, channels=8, layers=4, crop=64, degrade=reduce_faithfully
)


def ramp(height, width):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return ((2.0 * y + 3.0 * x + 5) / 400)[None, None].expand(1, 3, -1, -1)


def opened(name):
    return load_model(read_card(name, verb="upscale"))


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("kind", FILTERS)
def test_reducing_keeps_a_ramp_in_place(kind, factor):
    truth = ramp(42, 60)
    expected = torch.nn.functional.avg_pool2d(truth, factor)
    made = reduce(truth, kind=kind, factor=factor)
    assert made.shape == (1, 3, 42 // factor, 60 // factor)
    assert torch.allclose(made[..., 4:-4, 4:-4], expected[..., 4:-4, 4:-4], atol=1e-5)


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize(
    ("kind", "error"), [("bilinear", 1e-5), ("bicubic", 1e-5), ("lanczos", 2e-3)]
)
def test_enlarging_undoes_reducing_of_a_ramp(kind, error, factor):
    truth = ramp(42, 60)
    made = enlarge(reduce(truth, kind="area", factor=factor), kind=kind, factor=factor)
    assert torch.allclose(made[..., 12:-12, 12:-12], truth[..., 12:-12, 12:-12], atol=error)


@pytest.mark.parametrize("scale", [2, 3])
def test_an_untrained_network_output_is_lanczos_plus_its_detail(scale):
    net = UpscaleNet(scale=scale, channels=4, layers=5)
    for tensor in net.parameters():
        torch.nn.init.zeros_(tensor)
    frame = torch.rand(1, 3, 30, 34) * 1.4 - 0.2
    edge = 5 * scale
    expected = enlarge(frame, kind="lanczos", factor=scale)[..., edge:-edge, edge:-edge]
    assert torch.allclose(net(frame), expected, atol=1e-5)


def test_a_larger_network_starts_as_the_one_it_inherits():
    torch.manual_seed(3)
    donor = UpscaleNet(scale=2, channels=6, layers=4)
    net = UpscaleNet(scale=2, channels=9, layers=6)
    inherit(net, donor)
    frame = torch.rand(1, 3, 24, 24)
    assert torch.allclose(net(frame), donor(frame)[..., 4:-4, 4:-4], atol=1e-5)
    with pytest.raises(ValueError, match="at least"):
        inherit(donor, net)


@pytest.mark.parametrize("name", MODELS)
def test_network_sees_exactly_its_halo(name):
    net = opened(name)
    window = torch.rand(1, 3, 48, 48)
    moved = window.clone()
    moved[..., 0, :] = 1 - moved[..., 0, :]
    changed = (net(window) != net(moved)).any(dim=(0, 1, 3)).nonzero().flatten().tolist()
    assert set(changed) <= set(range(net.scale))
    assert changed


@pytest.mark.parametrize("name", MODELS)
def test_what_a_window_gives_is_what_the_whole_frame_gives_there(name):
    net = opened(name).to(memory_format=torch.channels_last)
    pixels = torch.from_numpy(draw(8, 0, edge=176).astype(np.float32) / 255)
    frame = pixels.permute(2, 0, 1)[None]
    window = frame[..., 30:130, 20:140].contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        whole, part = net(frame.contiguous(memory_format=torch.channels_last)), net(window)
    scale = net.scale
    there = whole[..., 30 * scale :, 20 * scale :][..., : part.shape[2], : part.shape[3]]
    assert torch.equal(part, there)


@pytest.mark.parametrize("name", MODELS)
def test_what_lies_outside_black_and_white_passes_by_the_network(name):
    net = opened(name)
    frame = torch.rand(1, 3, 40, 40) * 2 - 0.5
    edge = net.halo * net.scale

    def detail(signal):
        return (
            net(signal)
            - enlarge(signal, kind="lanczos", factor=net.scale)[..., edge:-edge, edge:-edge]
        )

    assert torch.allclose(detail(frame), detail(frame.clamp(0, 1)), atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_flat_paint_keeps_its_colour_without_a_pattern(name):
    net, generator = opened(name), torch.Generator().manual_seed(4)
    colours = torch.cat([torch.rand(60, 3, generator=generator), torch.eye(3), torch.zeros(1, 3)])
    paint = colours[:, :, None, None].expand(-1, -1, 40, 40)
    apart = (evaluate.upscale(net, paint) - enlarge(paint, kind="bilinear", factor=net.scale)) * 255
    assert apart.abs().max() < 1.0


def test_a_drawing_is_always_the_same_and_never_blank():
    assert np.array_equal(draw(3, 7, edge=96), draw(3, 7, edge=96))
    assert all(draw(3, index, edge=96).std() > 2 for index in range(8))


def test_held_out_drawings_are_not_the_training_ones():
    first = next(train.held_out(BY_HAND, seed=1)).truth[0].permute(1, 2, 0).numpy() * 255
    assert not np.array_equal(first.round().astype(np.uint8), draw(1, 0, edge=EDGE))


def test_a_bank_renewed_holds_what_a_bank_begun_there_holds():
    renewed = Bank(seed=2, size=3, first=4)
    renewed.renew()
    assert np.array_equal(renewed.pictures, Bank(seed=2, size=3, first=5).pictures)


def trained(out, *, steps, stop_at=None):
    """The weights after `steps` of a tiny network, perhaps stopped and resumed on the way."""
    arguments = ["--out", str(out / "upscale2x"), *TINY, "--steps", str(steps)]
    if stop_at is not None:
        state = train.Training(BY_HAND, train.parse(BY_HAND, arguments))
        state.run.out.mkdir(parents=True)
        bank = Bank(seed=1, size=4, first=0)
        for step in range(stop_at):
            rng = np.random.default_rng((1, step))
            truth = bank.crops(rng, count=2, edge=64)
            state.learn(truth, BY_HAND.degrade(truth, 2, rng))
            if state.pupil.step % 3 == 0:
                bank.renew()
        state.save()
        arguments.append("--resume")
    train.train(BY_HAND, train.parse(BY_HAND, arguments))
    return (out / "upscale2x" / "weights.safetensors").read_bytes()


@pytest.mark.nightly
def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "HELD_OUT_DRAWINGS", 1)
    straight = trained(tmp_path / "straight", steps=7)
    assert trained(tmp_path / "resumed", steps=7, stop_at=4) == straight
    folder = tmp_path / "straight" / "upscale2x"
    assert json.loads((folder / "card.json").read_text())["halo"] == 4
    net = evaluate.open_model("upscale2x", folder)
    assert evaluate.upscale(net, torch.rand(1, 3, 20, 24)).shape == (1, 3, 40, 48)


@pytest.mark.nightly
def test_learning_lowers_the_loss_on_one_batch(tmp_path):
    arguments = ["--out", str(tmp_path / "upscale2x"), *TINY, "--steps", "1000"]
    state = train.Training(BY_HAND, train.parse(BY_HAND, arguments))
    rng = np.random.default_rng(0)
    truth = Bank(seed=5, size=2, first=0).crops(rng, count=2, edge=96)
    small = BY_HAND.degrade(truth, 2, rng)
    losses = [state.learn(truth, small) for _ in range(60)]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "elsewhere"], "named upscale2x"),
        (["--out", "upscale2x", "--crop", "63"], "multiple of 4"),
        (["--out", "upscale2x", "--device", "cuda:99"], "cpu trains too"),
    ],
)
def test_a_wrong_command_is_told_before_anything_is_drawn(arguments, message, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        train.parse(BY_HAND, [*arguments, "--steps", "1"])
    assert message in capsys.readouterr().err


def test_evaluate_prints_every_method(tmp_path, capsys, monkeypatch):
    for index in range(2):
        cv2.imwrite(str(tmp_path / f"{index}.png"), draw(8, index, edge=96))
    monkeypatch.setattr("sys.argv", ["evaluate", "upscale2x", str(tmp_path)])
    evaluate.main()
    text = capsys.readouterr().out
    assert text.startswith("2 frames")
    assert all(word in text for word in ("bicubic", "lanczos", "upscale2x", "area"))
