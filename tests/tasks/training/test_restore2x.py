"""What restore2x takes away from damaged drawings, and what it costs where there is no damage."""

import cv2
import pytest
import torch

from tasks.training import restore2x_evaluate as evaluate
from tasks.training.restore2x import LESSON
from tasks.training.shots.compression import h264
from tasks.training.shots.damage import grain
from tasks.training.upscaling.drawings import draw
from tasks.training.upscaling.evaluate import Pair, compare, open_model, upscale
from tasks.training.upscaling.train import held_out

MARGIN_DB = 0.7  # 1.1 to 1.7 dB measured
CLEAN_COST_DB = 3.8  # 3.4 measured


@pytest.fixture(scope="module")
def drawings():
    """Held-out pairs: half-size drawings, clean and as the lesson damages them."""
    return list(held_out(LESSON, seed=1))[:48]


@pytest.fixture(scope="module")
def nets():
    return {name: open_model(name) for name in ("upscale2x", "restore2x")}


def gains(scores, case):
    ours = scores[case, "restore2x"]
    return [ours.psnr_db - scores[case, other].psnr_db for other in ("upscale2x", "lanczos")]


def test_on_the_whole_mix_of_damages_it_beats_lanczos_and_the_faithful_network(drawings, nets):
    case = "as in the lesson"
    scores = compare(nets, [pair for pair in drawings if pair.case == case])
    over_faithful, over_lanczos = gains(scores, case)
    assert over_lanczos > 1.0  # 1.4 measured
    assert over_faithful > 0  # .07 dB: drawings that were hardly damaged weigh most in decibels
    assert scores[case, "restore2x"].ssim > scores[case, "upscale2x"].ssim + 0.01


def test_it_removes_what_real_encoders_leave(drawings, nets):
    clean = [pair for pair in drawings if pair.case == "reduced by area"][:6]
    jpegs = [Pair("JPEG", evaluate.libjpeg(p.small, quality=50), p.truth) for p in clean]
    videos = [
        Pair("H.264", h264(p.small[None].repeat(1, 2, 1, 1, 1), crf=[30])[0, 1:], p.truth)
        for p in clean
    ]
    scores = compare(nets, jpegs + videos)
    assert min(gains(scores, "JPEG")) > MARGIN_DB
    assert min(gains(scores, "H.264")) > MARGIN_DB


def test_clean_drawings_cost_it_what_its_card_says_and_stay_above_lanczos(drawings, nets):
    scores = compare(nets, [pair for pair in drawings if pair.case == "reduced by area"])
    below, above = gains(scores, "reduced by area")
    assert -CLEAN_COST_DB < below < 0
    assert above > 0


def test_paint_loses_its_grain(nets):
    paint = torch.full((1, 3, 96, 96), 0.5)
    noisy = grain(paint, strength=torch.tensor([0.02]), size=0, seed=4)
    left = {name: float(upscale(net, noisy).std()) for name, net in nets.items()}
    assert left["restore2x"] < 0.5 * left["upscale2x"]


def test_evaluate_prints_every_damage(tmp_path, capsys, monkeypatch):
    for index in range(2):
        cv2.imwrite(str(tmp_path / f"{index}.png"), draw(8, index, edge=96))
    monkeypatch.setattr("sys.argv", ["evaluate", str(tmp_path), "--every", "2"])
    evaluate.main()
    text = capsys.readouterr().out
    assert all(word in text for word in ("clean", "JPEG 40", "H.264 crf 33", "restore2x"))
