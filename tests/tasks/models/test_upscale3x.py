"""What upscale3x reaches on drawings it has not seen, beside Lanczos."""

from tasks.training.upscale3x import LESSON
from tasks.training.upscaling.evaluate import compare, open_model
from tasks.training.upscaling.train import held_out

MARGIN_DB = 2.5  # 3.6 (area) and 4.1 (bicubic) on 24 such drawings; the issue asks for 1.5


def test_it_beats_lanczos_on_drawings_by_its_margin():
    pairs = [pair for pair in held_out(LESSON, seed=1) if pair.case != "as in the lesson"][:16]
    scores = compare({"upscale3x": open_model("upscale3x")}, pairs)
    for case in ("reduced by area", "reduced by bicubic"):
        ours, lanczos = scores[case, "upscale3x"], scores[case, "lanczos"]
        assert ours.psnr_db > lanczos.psnr_db + MARGIN_DB
        assert ours.ssim > lanczos.ssim
