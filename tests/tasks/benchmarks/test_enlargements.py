"""Ways to enlarge: references that do what they say, models found by asking, peers by file."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cluster.errors import UsageError
from tasks.benchmarks.enlargements import (
    damages,
    jpeg,
    onnx_way,
    sharpened,
    small_cases,
    ways_to_enlarge,
)
from tasks.benchmarks.evaluation import Case
from tasks.benchmarks.resample import reduce
from tasks.metrics.scores import psnr


def drawn(size: tuple[int, int] = (96, 128)) -> np.ndarray:
    picture = np.full((*size, 3), (200, 220, 240), np.uint8)
    for k in range(6):
        cv2.circle(picture, (20 * k + 10, 12 * k + 20), 14, (30 * k, 90, 160), -1, cv2.LINE_AA)
        cv2.circle(picture, (20 * k + 10, 12 * k + 20), 14, (10, 10, 10), 2, cv2.LINE_AA)
    return picture


def still(picture: np.ndarray) -> Case:
    return Case(source="drawn", name="0", inputs=(), truth=picture)


def test_small_cases_are_cut_to_what_the_factor_divides() -> None:
    area = damages()["reduced by area"]
    (case,) = small_cases([still(drawn((97, 130)))], area, factor=3)
    assert case.truth.shape == (96, 129, 3)
    assert case.inputs[0].shape == (32, 43, 3)
    assert np.array_equal(case.inputs[0], reduce(case.truth, factor=3, kind="area"))


def test_every_damage_makes_its_own_small_picture() -> None:
    smalls = [damage(drawn(), 2) for damage in damages().values()]
    assert {small.shape for small in smalls} == {(48, 64, 3)}
    assert all(not np.array_equal(a, b) for k, a in enumerate(smalls) for b in smalls[:k])


def test_jpeg_keeps_colours_in_their_channels() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 250
    assert np.abs(jpeg(red, quality=90).astype(int) - red).max() < 6


def test_sharpening_stays_within_the_pixels_around() -> None:
    small = reduce(drawn(), factor=2, kind="area")
    made = sharpened(small, factor=2)
    around = np.ones((3, 3), np.uint8)
    low = cv2.erode(small, around).repeat(2, 0).repeat(2, 1)
    high = cv2.dilate(small, around).repeat(2, 0).repeat(2, 1)
    assert (made >= low).all()
    assert (made <= high).all()
    assert psnr(made, drawn()) > 20


def test_models_are_those_that_do_the_factor_and_one_is_the_default() -> None:
    for factor in (2, 4):
        ways = ways_to_enlarge(factor=factor)
        assert [way.name for way in ways[:2]] == ["lanczos", "lanczos, unsharp"]
        assert sum(way.default for way in ways) == 1
        assert "upscale2x" in [way.name for way in ways if way.kind == "ours"]
        small = reduce(drawn(), factor=factor, kind="area")
        default = next(way for way in ways if way.default)
        assert default.make(small).shape == (96, 128, 3)
        assert psnr(default.make(small), drawn()) > psnr(ways[0].make(small), drawn())


def onnx_doubler(path: Path) -> Path:
    """A network file that doubles every pixel."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest")],
        "double",
        [helper.make_tensor_value_info("x", kind, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("y", kind, [1, 3, "H", "W"])],
        [helper.make_tensor("scales", kind, [4], [1.0, 1.0, 2.0, 2.0])],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), str(path))
    return path


def test_a_peer_is_measured_at_its_own_factor_alone(tmp_path: Path) -> None:
    file = onnx_doubler(tmp_path / "doubler.onnx")
    assert onnx_way(file, factor=3) is None
    way = onnx_way(file, factor=2)
    assert way is not None
    assert (way.name, way.kind) == ("doubler", "peer")
    small = drawn()[:43, :51]  # sides that 8 does not divide
    assert np.array_equal(way.make(small), small.repeat(2, 0).repeat(2, 1))


def test_two_peers_of_one_name_are_refused(tmp_path: Path) -> None:
    file = onnx_doubler(tmp_path / "doubler.onnx")
    with pytest.raises(UsageError, match="two models of this name"):
        ways_to_enlarge(factor=2, peers=[file, file])
