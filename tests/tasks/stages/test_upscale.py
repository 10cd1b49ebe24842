"""The upscale stage: exact whatever the tiles, better than Lanczos, clear when it cannot go on."""

import logging
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest

from cluster.errors import StageError, UsageError
from tasks.frames.codes import BLACK, ONE, WHITE, code_step, from_uint8, to_float, to_uint8
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track
from tasks.models import tiles
from tasks.models.device import Device
from tasks.models.shelf import read_card
from tasks.stages.registry import make_stage
from tasks.stages.stage import Window
from tasks.stages.upscale import Upscale, UpscaleParams
from tasks.synthetic.film import render_frame
from tasks.synthetic.synthesise import synthesise
from tasks.training.upscaling.drawings import draw
from tests.conftest import ROOT

REAL_FRAMES = ROOT.parent / "shared/data/anime_sequence"


def no_assets(path):
    raise AssertionError(f"asset {path} asked for")


def window_of(frames, *, depth=8):
    count, height, width, _ = frames.shape
    track = Track(
        picture=Picture(width=width, height=height, depth=depth),
        times=tuple(Fraction(i, 24) for i in range(count)),
        end=Fraction(count, 24),
    )
    return Window(track=track, indices=tuple(range(count)), frames_nhwc=frames)


def run(frames, *, tile=0, depth=8, **params):
    stage = Upscale(UpscaleParams(**params))
    stage.setup(Device(tile=tile), no_assets)
    return stage.process(window_of(frames, depth=depth), Span(0, len(frames)))


def drawing(height, width, *, index=0):
    return from_uint8(draw(99, index, edge=256)[:height, :width])[None]


def psnr(a, b):
    inner = (..., slice(8, -8), slice(8, -8), slice(None))
    return -10 * np.log10(np.mean((to_float(a)[inner] - to_float(b)[inner]) ** 2))


def lanczos(frames):
    import torch

    from tasks.models.upscaling.resample import enlarge

    signal = torch.from_numpy(to_float(frames)).permute(0, 3, 1, 2)
    doubled = enlarge(signal, kind="lanczos", factor=2).permute(0, 2, 3, 1).numpy()
    return from_uint8(np.rint(doubled.clip(0, 1) * 255).astype(np.uint8))


def halved(pixels):
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


def test_card_names_model_and_engine_without_torch():
    code = (
        "import sys; from tasks.stages.registry import make_stage;"
        "c = make_stage('upscale', {}).card();"
        "assert 'torch' not in sys.modules; print(len(c.model), c.engine, c.keep, c.per_frame)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["64", "torch-fp32", "True", "True"]


def test_card_differs_by_precision():
    assert Upscale(UpscaleParams(precision="bf16")).card().engine == "torch-bf16"


@pytest.mark.parametrize("scale", [2, 4])
def test_memory_is_counted_by_the_frames_that_come_out(scale):
    model = read_card("upscale2x", verb="upscale")
    stage = Upscale(UpscaleParams(scale=scale))
    assert stage.card().memory_bytes == model.memory_bytes_per_megapixel // 4


def test_unknown_model_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'upscale2x'"):
        make_stage("upscale", {"model": "upscal2x"})


def test_a_scale_that_no_model_makes_lists_what_there_is():
    with pytest.raises(
        UsageError, match=r"no 3x restore model; it has .*2x faithful \(upscale2x\)"
    ):
        make_stage("upscale", {"scale": 3, "kind": "restore"})


@pytest.mark.parametrize("scale", [0, 5, 1.5, "big"])
def test_other_scales_are_refused(scale):
    with pytest.raises(UsageError, match="scale"):
        make_stage("upscale", {"scale": scale})


@pytest.mark.parametrize("scale", [2, 4])
def test_track_and_frames_grow_together(scale):
    frames = drawing(30, 41)
    after = Upscale(UpscaleParams(scale=scale)).track_after(window_of(frames).track)
    made = run(frames, scale=scale)
    assert made.dtype == np.uint16
    assert made.shape == (1, after.picture.height, after.picture.width, 3)
    assert (after.picture.height, after.picture.width) == (30 * scale, 41 * scale)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("tile", [1, 64, 100, 131])
def test_tiles_equal_whole_bit_for_bit(tile, precision):
    frames = drawing(171, 243)
    whole = run(frames, precision=precision)
    assert np.array_equal(run(frames, tile=tile, precision=precision), whole)


def test_tiles_equal_whole_in_two_passes():
    frames = drawing(90, 111)
    assert np.array_equal(run(frames, tile=64, scale=4), run(frames, scale=4))


def test_large_frames_are_tiled_unseen(monkeypatch):
    frames = drawing(171, 243)
    whole = run(frames)
    monkeypatch.setattr(tiles, "LARGEST_AREA", 120 * 120)
    assert np.array_equal(run(frames), whole)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 200)])
def test_small_frames_equal_the_same_frame_in_tiles(size):
    frames = drawing(*size)
    made = run(frames)
    assert made.shape == (1, 2 * size[0], 2 * size[1], 3)
    assert np.array_equal(run(frames, tile=64), made)


def test_a_frame_does_not_depend_on_its_chunk():
    frames = np.concatenate([drawing(96, 96, index=i) for i in range(3)])
    together = run(frames)
    assert np.array_equal(together[1], run(frames[1:2])[0])


def test_input_is_read_only_and_stays():
    frames = drawing(40, 40)
    before = frames.copy()
    frames.flags.writeable = False
    run(frames)
    assert np.array_equal(frames, before)


@pytest.mark.parametrize("value", [-0.3, 0.0, 0.1, 0.5, 0.9, 1.0, 1.4])
def test_flat_paint_stays_flat_even_outside_black_and_white(value):
    code = round(value * ONE) + BLACK
    made = run(np.full((1, 40, 40, 3), code, np.uint16), depth=14)
    assert np.abs(made.astype(int) - code).max() <= (WHITE - BLACK) / 255


def test_codes_are_rounded_to_the_depth():
    made = run(drawing(50, 50), depth=8)
    assert not np.any(made % code_step(8))
    assert np.any(run(drawing(50, 50), depth=10) % code_step(8))


def test_bf16_is_close_to_fp32():
    frames = drawing(128, 128)
    assert psnr(run(frames, precision="bf16"), run(frames)) > 50


def test_wrong_frames_are_named():
    stage = Upscale(UpscaleParams())
    stage.setup(Device(), no_assets)
    window = window_of(np.zeros((1, 20, 20, 3), np.uint8))
    with pytest.raises(StageError, match=r"expected frames .* got .* uint8"):
        stage.process(window, Span(0, 1))


class Hungry:
    """A network in a machine that holds windows of `most` pixels a side."""

    def __init__(self, net, most, message="DefaultCPUAllocator: can't allocate memory"):
        self.net, self.most, self.message = net, most, message

    def __call__(self, window):
        if max(window.shape[:2]) > self.most:
            raise RuntimeError(self.message)
        return self.net(window)


def hungry_stage(*, scale=2, **limits):
    stage = Upscale(UpscaleParams(scale=scale))
    stage.setup(Device(), no_assets)
    stage.enlargers = tuple(replace(one, net=Hungry(one.net, **limits)) for one in stage.enlargers)
    return stage


def test_out_of_memory_goes_on_with_smaller_tiles_and_says_so(caplog):
    frames = drawing(200, 250)
    with caplog.at_level(logging.WARNING):
        made = hungry_stage(most=150).process(window_of(frames), Span(0, 1))
    assert np.array_equal(made, run(frames))
    assert "out of memory on a 250x200 frame" in caplog.text


def test_out_of_memory_in_the_second_pass_goes_on_too():
    frames = drawing(100, 110)
    made = hungry_stage(most=130, scale=4).process(window_of(frames), Span(0, 1))
    assert np.array_equal(made, run(frames, scale=4))


def test_out_of_memory_at_the_smallest_tile_is_an_error():
    with pytest.raises(StageError, match="out of memory"):
        hungry_stage(most=10).process(window_of(drawing(200, 250)), Span(0, 1))


def test_other_failures_are_not_taken_for_memory():
    with pytest.raises(RuntimeError, match="broken"):
        hungry_stage(most=10, message="broken").process(window_of(drawing(99, 99)), Span(0, 1))


def test_close_is_safe_twice_and_before_setup():
    stage = Upscale(UpscaleParams())
    stage.close()
    stage.setup(Device(), no_assets)
    stage.close()
    stage.close()
    with pytest.raises(StageError, match="not set up"):
        stage.process(window_of(drawing(9, 9)), Span(0, 1))


def test_beats_lanczos_on_drawings_it_never_saw():
    gains = []
    for index in range(6):
        drawn = draw(4242, index, edge=256)
        small, truth = from_uint8(halved(drawn))[None], from_uint8(drawn)[None]
        gains.append(psnr(run(small), truth) - psnr(lanczos(small), truth))
    assert np.mean(gains) > 1.5, gains
    assert min(gains) > 0, gains


def test_beats_lanczos_on_the_sample_rendered_at_twice_the_size():
    short = synthesise(size=(480, 270))
    gains = []
    for frame in (61, 173):
        small = from_uint8(render_frame(short, frame))[None]
        truth = from_uint8(render_frame(short, frame, scale=2))[None]
        gains.append(psnr(run(small), truth) - psnr(lanczos(small), truth))
    assert np.mean(gains) > 1, gains
    assert min(gains) > 0.5, gains


@pytest.mark.skipif(not REAL_FRAMES.is_dir(), reason="no ../shared/data/anime_sequence here")
def test_beats_lanczos_on_real_frames():
    gains = []
    for name in ("0000.png", "0040.png", "0080.png"):
        pixels: Any = cv2.imread(str(REAL_FRAMES / name), cv2.IMREAD_COLOR_RGB)
        small, truth = from_uint8(halved(pixels))[None], from_uint8(pixels)[None]
        gains.append(psnr(run(small), truth) - psnr(lanczos(small), truth))
    assert min(gains) > 1.5, gains


def test_8_bit_view_of_a_doubled_line_has_no_ghost():
    """A dark line on flat paint: beyond 8 pixels from it the paint is as before."""
    pixels = np.full((64, 64, 3), (200, 170, 140), np.uint8)
    pixels[:, 31:33] = 20
    made = to_uint8(run(from_uint8(pixels)[None]))[0].astype(int)
    far = np.concatenate([made[:, :46], made[:, 82:]], axis=1)
    assert np.abs(far - (200, 170, 140)).max() <= 1
