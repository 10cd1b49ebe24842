"""The upscale stage with networks of one's own: exact tiles, right colours, no local folder."""

import logging
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest

from cluster.errors import ClusterError, StageError, UsageError
from cluster.keys import canonical, digest_bytes
from cluster.settings import settings
from tasks.frames.codes import BLACK, ONE, from_float, from_uint8, to_float
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track
from tasks.models.choose import choose_models
from tasks.models.device import Device
from tasks.models.shelf import read_card
from tasks.models.user.register import add_model
from tasks.stages.registry import make_stage
from tasks.stages.stage import Window
from tasks.training.upscaling.drawings import draw
from tasks.worker.item import StageCall
from tests.conftest import ROOT
from tests.tasks.models.user import onnx_nets as nets

SHARED = ROOT.parent / "shared"
COMMUNITY = sorted((SHARED / "weights").glob("*.onnx"))
STILLS = SHARED / "data/anime_sequence"


@pytest.fixture(
    scope="module", params=COMMUNITY or [None], ids=[path.name for path in COMMUNITY] or ["none"]
)
def community(request, tmp_path_factory):
    """A real network, added once: its card, and its file's bytes."""
    if not COMMUNITY:
        pytest.skip("no ../shared/weights/*.onnx here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOUGA_MODELS", str(tmp_path_factory.mktemp("community")))
        settings.cache_clear()
        data = request.param.read_bytes()
        card = add_model("net", file=str(request.param), sha256=digest_bytes(data))
    settings.cache_clear()
    return card, data


def window_of(frames):
    count, height, width, _ = frames.shape
    track = Track(
        picture=Picture(width=width, height=height),
        times=tuple(Fraction(i, 24) for i in range(count)),
        end=Fraction(count, 24),
    )
    return Window(track=track, indices=tuple(range(count)), frames_nhwc=frames)


def ready(*, tile=0, **params):
    stage = make_stage("upscale", params)
    stage.setup(Device(tile=tile), lambda path: Path(path).read_bytes())
    return stage


def run(frames, **params):
    return ready(**params).process(window_of(frames), Span(0, len(frames)))


def drawing(height, width, *, index=0):
    return from_uint8(draw(99, index, edge=384)[:height, :width])[None]


def as_published(data, frame):
    """What ONNX Runtime makes of a whole frame, with nothing of ours between."""
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    dtype = np.float16 if "16" in given.type else np.float32
    picture = to_float(frame).clip(0, 1).transpose(2, 0, 1)[None].astype(dtype)
    made = session.run(None, {given.name: picture})[0][0].transpose(1, 2, 0)
    return from_float(made.astype(np.float32), depth=8)


def test_community_networks_are_exact_for_any_tile_size(community):
    card, data = community
    assert (card.scale, card.precisions) == (2, ("fp16",))
    frames = drawing(170, 214)
    whole = as_published(data, frames[0])
    for tile in (0, 64, 97, 150):
        assert np.array_equal(run(frames, cards=(card,), tile=tile)[0], whole), tile


def test_community_networks_take_frames_of_odd_size(community):
    card, _ = community
    frames = drawing(111, 173)
    made = run(frames, cards=(card,))
    assert made.shape == (1, 222, 346, 3)
    assert np.array_equal(run(frames, cards=(card,), tile=64), made)


@pytest.mark.skipif(not STILLS.is_dir(), reason="no ../shared/data/anime_sequence here")
def test_community_networks_are_given_red_first(community):
    """In the wrong order a network that knows animation does worse on a real frame: one of these
    two in its colours, the other in its lines."""
    card, data = community
    pixels: Any = cv2.imread(str(STILLS / "0060.png"), cv2.IMREAD_COLOR_RGB)[:320, :480]
    small = from_uint8(np.asarray(cv2.resize(pixels, (240, 160), interpolation=cv2.INTER_AREA)))
    made = run(small[None], cards=(card,))[0]
    swapped = as_published(data, np.ascontiguousarray(small[..., ::-1]))[..., ::-1]
    truth = to_float(from_uint8(pixels))

    def error(codes):
        off = to_float(codes) - truth
        return float(np.mean(off**2) * np.abs(off - off.mean(-1, keepdims=True)).mean())

    assert error(made) < 0.97 * error(swapped)


@pytest.mark.parametrize("tile", [1, 64, 100, 131])
@pytest.mark.parametrize(
    "data",
    [nets.upscaler(convs=6), nets.upscaler(scale=3, convs=4), nets.blockwise(block=8)],
    ids=["2x", "3x", "blocks"],
)
def test_tiles_equal_whole_bit_for_bit(add, data, tile):
    add("net", data)
    frames = drawing(251, 302)
    assert np.array_equal(run(frames, model="net", tile=tile), run(frames, model="net"))


def test_frames_of_other_sizes_are_replicated_at_their_end(add):
    data = nets.blockwise(block=8)
    add("net", data)
    frames = drawing(41, 99)
    larger = np.pad(frames, ((0, 0), (0, 7), (0, 5), (0, 0)), mode="edge")
    made = run(frames, model="net")
    assert np.array_equal(made[0], as_published(data, larger[0])[:41, :99])


def test_a_network_of_the_whole_picture_is_never_tiled(add):
    data = nets.whole_picture()
    add("net", data)
    frames = drawing(200, 220)
    made = run(frames, model="net", tile=32)
    assert np.array_equal(made[0], as_published(data, frames[0]))


def test_channels_go_in_and_come_out_red_first(add):
    add("swap", nets.swapping_channels())
    frames = drawing(40, 50)
    assert np.array_equal(run(frames, model="swap"), frames[..., ::-1])


def test_what_lies_outside_black_and_white_passes_by(add):
    add("net", nets.upscaler(convs=2))
    frames = np.full((1, 40, 40, 3), round(1.25 * ONE) + BLACK, np.uint16)
    inside = np.full((1, 40, 40, 3), ONE + BLACK, np.uint16)
    more = to_float(run(frames, model="net")) - to_float(run(inside, model="net"))
    assert np.allclose(more, 0.25, atol=2e-3)


def test_the_models_own_scale_is_the_default(add):
    add("four", nets.upscaler(scale=4, convs=2))
    assert run(drawing(20, 30), model="four").shape == (1, 80, 120, 3)


def test_passes_are_made_of_what_there_is(add):
    add("four", nets.upscaler(scale=4, convs=2))
    add("clean", nets.upscaler(scale=1, convs=2), kind="restore")
    add("two", nets.upscaler(scale=2, convs=2), kind="restore")
    add("plain", nets.upscaler(scale=2, convs=3))

    def names(**asked):
        return [card.name for card in choose_models(**{"scale": None, "kind": "faithful", **asked})]

    assert names(model="four") == names(model="four", scale=4) == ["four"]
    assert names(model="two", scale=4) == ["two", "upscale2x"]
    assert names(model="plain", scale=4) == ["plain", "plain"]
    assert names(model="clean", scale=2) == ["clean", "upscale2x"]
    assert names(model="", scale=4) == ["upscale2x", "upscale2x"]
    with pytest.raises(UsageError, match="'four' scales by 4, which does not go into 2"):
        names(model="four", scale=2)


def test_two_passes_are_the_two_networks_in_turn(add):
    add("two", nets.upscaler(scale=2, convs=2), kind="restore")
    frames = drawing(60, 70)
    first = ready(model="two").enlargers[0](to_float(frames[0]))
    second = ready().enlargers[0](first)
    assert np.array_equal(run(frames, model="two", scale=4)[0], from_float(second, depth=8))


def test_models_of_ones_own_are_used_only_when_named(add):
    add("aaa", nets.upscaler(scale=2, convs=2))
    assert choose_models(scale=2, kind="faithful", model="")[0].name == "upscale2x"


def test_a_worker_elsewhere_needs_no_folder_of_models(add, own_models, monkeypatch, tmp_path):
    add("two", nets.upscaler(scale=2, convs=2))
    frames = drawing(50, 60)
    made = run(frames, model="two", scale=4)
    planned = make_stage("upscale", {"model": "two", "scale": 4})
    (path,) = planned.assets()
    card = read_card("two", verb="upscale")
    call = StageCall(
        name="upscale",
        params={"model": "two", "scale": 4, **planned.looked_up({path: card.sha256})},
        assets=((path, card.sha256),),
    )
    weights = Path(path).read_bytes()
    shutil.rmtree(own_models)
    monkeypatch.setenv("DOUGA_MODELS", str(tmp_path / "nowhere"))
    settings.cache_clear()
    assert canonical(call)
    stage = pickle.loads(pickle.dumps(call)).make()
    stage.setup(Device(), {path: weights}.__getitem__)
    assert np.array_equal(stage.process(window_of(frames), Span(0, 1)), made)
    assert stage.params.model_dump(mode="json") == planned.params.model_dump(mode="json")
    assert stage.card() == planned.card()


def test_keys_name_the_weights_and_what_runs_them(add):
    card = add("half", nets.upscaler(convs=2, dtype=np.float16))
    stage = make_stage("upscale", {"model": "half", "scale": 4})
    assert stage.card().model == card.sha256
    assert stage.card().engine == "onnx-fp16"
    tensorrt = make_stage("upscale", {"model": "half", "engine": "tensorrt"})
    assert tensorrt.card().engine == "tensorrt-fp16"


def test_changed_weights_are_refused_by_the_plan_and_by_the_worker(add):
    card = add("net", nets.upscaler(convs=2))
    stage = make_stage("upscale", {"model": "net"})
    with pytest.raises(StageError, match="the file has changed; douga models remove net"):
        stage.looked_up({card.asset: "0" * 64})
    Path(card.asset).write_bytes(nets.upscaler(convs=2, seed=1))
    with pytest.raises(StageError, match=r"weights\.onnx: expected sha256"):
        ready(model="net")


def test_a_precision_that_a_model_has_not_is_refused(add):
    add("net", nets.upscaler(convs=2))
    with pytest.raises(UsageError, match="has no bf16"):
        make_stage("upscale", {"model": "net", "precision": "bf16"})


@pytest.mark.parametrize(
    ("device", "engine", "message"),
    [
        (Device(kind="cuda"), "own", "has no CUDAExecutionProvider.*onnxruntime-gpu"),
        (Device(kind="cuda"), "tensorrt", "has no TensorrtExecutionProvider"),
        (Device(), "tensorrt", "TensorRT was asked for"),
    ],
)
def test_no_provider_is_replaced_in_silence(add, monkeypatch, device, engine, message):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    add("net", nets.upscaler(convs=2))
    stage = make_stage("upscale", {"model": "net", "engine": engine})
    with pytest.raises(ClusterError, match=message):
        stage.setup(device, lambda path: Path(path).read_bytes())


def test_without_onnx_runtime_the_extra_is_named(add, monkeypatch):
    add("net", nets.upscaler(convs=2))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ClusterError, match=r"pip install 'douga\[onnx\]'"):
        ready(model="net")


class Hungry:
    """A network in a machine that holds windows of `most` pixels a side."""

    def __init__(self, net, most):
        self.net, self.most = net, most

    def __call__(self, window):
        if max(window.shape[:2]) > self.most:
            raise MemoryError("Failed to allocate memory for requested buffer of size 92160000")
        return self.net(window)


def hungry(model, most):
    stage = ready(model=model)
    stage.enlargers = tuple(replace(one, net=Hungry(one.net, most)) for one in stage.enlargers)
    return stage


def test_out_of_memory_goes_on_with_smaller_tiles_and_says_so(add, caplog):
    add("net", nets.upscaler(convs=4))
    frames = drawing(300, 350)
    with caplog.at_level(logging.WARNING):
        made = hungry("net", 180).process(window_of(frames), Span(0, 1))
    assert np.array_equal(made, run(frames, model="net"))
    assert "going on with tiles of" in caplog.text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (nets.upscaler(convs=4), "out of memory on a 350x300 frame in"),
        (nets.whole_picture(), "whole"),
    ],
    ids=["tiles", "whole picture"],
)
def test_out_of_memory_at_the_end_is_an_error(add, data, words):
    add("net", data)
    with pytest.raises(StageError, match=words) as error:
        hungry("net", 20).process(window_of(drawing(300, 350)), Span(0, 1))
    assert error.value.retryable


REALLY_OUT = """
import resource, sys
from pathlib import Path
import numpy as np
from tasks.models.enlarge import Enlarger
from tasks.models.user.onnx_net import open_onnx
from tasks.models.device import Device
net = open_onnx(Path(sys.argv[1]).read_bytes(), device=Device(), name="net").net
net(np.zeros((64, 64, 3), np.float32))
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
held = int(status["VmSize"].split()[0]) << 10
resource.setrlimit(resource.RLIMIT_AS, (held + (96 << 20), resource.RLIM_INFINITY))
try:
    net(np.zeros((1200, 1200, 3), np.float32))
except MemoryError:
    print("MemoryError", net(np.zeros((64, 64, 3), np.float32)).shape)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits address space")
def test_onnx_runtime_out_of_memory_is_told_as_such(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(nets.upscaler(convs=4))
    done = subprocess.run(
        [sys.executable, "-c", REALLY_OUT, str(path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "MemoryError (128, 128, 3)", done.stderr
