"""The 2x network and its training: filters, drawings, a run that learns, stops and goes on."""

import json

import cv2
import numpy as np
import pytest
import torch

from tasks.models.shelf import load_model, read_card
from tasks.models.upscale2x import evaluate, train
from tasks.models.upscale2x.drawings import draw
from tasks.models.upscale2x.net import Upscale2x
from tasks.models.upscale2x.resample import FILTERS, double, halve

TINY = ["--channels", "8", "--layers", "4", "--batch", "2", "--crop", "64", "--bank", "4"]


def ramp(height, width):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return ((2.0 * y + 3.0 * x + 5) / 400)[None, None].expand(1, 3, -1, -1)


@pytest.mark.parametrize("kind", FILTERS)
def test_halving_keeps_a_ramp_in_place(kind):
    truth = ramp(40, 60)
    expected = (truth[..., ::2, ::2] + truth[..., 1::2, 1::2]) / 2
    made = halve(truth, kind=kind)
    assert made.shape == (1, 3, 20, 30)
    assert torch.allclose(made[..., 4:-4, 4:-4], expected[..., 4:-4, 4:-4], atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "error"), [("bilinear", 1e-5), ("bicubic", 1e-5), ("lanczos", 2e-3)]
)
def test_doubling_undoes_halving_of_a_ramp(kind, error):
    truth = ramp(40, 60)
    made = double(halve(truth, kind="area"), kind=kind)
    assert torch.allclose(made[..., 8:-8, 8:-8], truth[..., 8:-8, 8:-8], atol=error)


def test_an_untrained_network_output_is_lanczos_plus_its_detail():
    net = Upscale2x(channels=4, layers=5)
    for tensor in net.parameters():
        torch.nn.init.zeros_(tensor)
    frame = torch.rand(1, 3, 30, 34) * 1.4 - 0.2
    expected = double(frame, kind="lanczos")[..., 10:-10, 10:-10]
    assert torch.allclose(net(frame), expected, atol=1e-5)


def test_network_sees_exactly_its_halo():
    net = load_model(read_card("upscale2x", verb="upscale"))
    window = torch.rand(1, 3, 40, 40)
    moved = window.clone()
    moved[..., 0, :] = 1 - moved[..., 0, :]
    changed = (net(window) != net(moved)).any(dim=(0, 1, 3)).nonzero().flatten().tolist()
    assert set(changed) <= {0, 1}
    assert changed


def test_what_lies_outside_black_and_white_passes_by_the_network():
    net = load_model(read_card("upscale2x", verb="upscale"))
    frame = torch.rand(1, 3, 40, 40) * 2 - 0.5

    def detail(signal):
        return net(signal) - double(signal, kind="lanczos")[..., 16:-16, 16:-16]

    assert torch.allclose(detail(frame), detail(frame.clamp(0, 1)), atol=1e-5)


def test_a_drawing_is_always_the_same_and_never_blank():
    assert np.array_equal(draw(3, 7, edge=96), draw(3, 7, edge=96))
    assert all(draw(3, index, edge=96).std() > 2 for index in range(8))


def test_held_out_drawings_are_not_the_training_ones():
    first = next(train.held_out(1))[0].permute(1, 2, 0).numpy() * 255
    assert not np.array_equal(first.round().astype(np.uint8), draw(1, 0, edge=train.EDGE))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny network after ten steps."""
    out = tmp_path_factory.mktemp("training") / "upscale2x"
    run, _ = train.parse(["--out", str(out), "--minutes", "5", "--max-steps", "10", *TINY])
    train.train(run)
    return out


def test_training_leaves_weights_that_fit_their_card(trained):
    net = evaluate.open_model(trained)
    assert json.loads((trained / "card.json").read_text())["halo"] == 4
    assert evaluate.upscale(net, torch.rand(1, 3, 20, 24)).shape == (1, 3, 40, 48)


def test_training_goes_on_from_its_checkpoint(trained):
    before = (trained / "weights.safetensors").read_bytes()
    arguments = ["--out", str(trained), "--minutes", "5", "--max-steps", "5", "--resume", *TINY]
    run, _ = train.parse(arguments)
    train.train(run)
    assert torch.load(trained / "checkpoint.pt", weights_only=True)["step"] == 15
    assert (trained / "weights.safetensors").read_bytes() != before


def test_learning_lowers_the_loss_on_one_batch(tmp_path):
    run, _ = train.parse(["--out", str(tmp_path), "--minutes", "1", *TINY])
    state = train.Training(run)
    rng = np.random.default_rng(0)
    truth = train.Bank(seed=5, size=2, next_index=0).crops(rng, count=2, edge=96)
    small = train.degrade(truth, rng)
    losses = [state.learn(truth, small, progress=0) for _ in range(60)]
    assert losses[-1] < 0.9 * losses[0]


def test_evaluate_prints_every_method(tmp_path, capsys, monkeypatch):
    for index in range(2):
        cv2.imwrite(str(tmp_path / f"{index}.png"), draw(8, index, edge=96))
    monkeypatch.setattr("sys.argv", ["evaluate", str(tmp_path)])
    evaluate.main()
    text = capsys.readouterr().out
    assert text.startswith("2 frames")
    assert all(word in text for word in ("bicubic", "lanczos", "upscale2x", "area"))
