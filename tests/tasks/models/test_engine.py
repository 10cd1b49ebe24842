"""Engines: what this machine has, the same function as torch's, near to it in bf16, no torch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from cluster.errors import ClusterError
from tasks.frames.codes import from_uint8
from tasks.models import engine, inbetweening
from tasks.models.device import Device
from tasks.models.engine import EXACT, PLAIN, check_here, engines_here, fastest_here
from tasks.models.enlarge import Signal
from tasks.models.inbetweening import Pair
from tasks.models.load import open_enlarger
from tasks.models.morph import open_morph
from tasks.models.shelf import find_card
from tests.conftest import ROOT

pytest.importorskip("openvino")
BF16 = "openvino-bf16-amx"
UPSCALERS = ("upscale2x", "upscale3x", "restore2x")


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    engines_here.cache_clear()
    yield
    engines_here.cache_clear()


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """bf16 on any machine: emulated, slowly, where there are no units for it."""
    monkeypatch.setattr(engine, "processor_flags", lambda: frozenset({"amx_bf16"}))


def picture(height: int, width: int, *, at: int = 0) -> Signal:
    """A drawing: flat paint, ink, hatching, a soft sky; beyond black and white in places."""
    rows = np.linspace(0.55, 0.95, height, dtype=np.float32)[:, None, None]
    made = rows * np.array([0.8, 0.9, 1.0], np.float32) * np.ones((height, width, 1), np.float32)
    made[height * 2 // 3 :, ::4] = (0.35, 0.55, 0.3)
    place = (width // 3 + 5 * at, height // 2 + at)
    cv2.circle(made, place, height // 4, (0.9, 0.3, 0.25), -1, cv2.LINE_AA)
    cv2.circle(made, place, height // 4, (0.02, 0.0, 0.1), 2, cv2.LINE_AA)
    cv2.rectangle(made, (3, 3), (20, 20), (1.1, 1.05, 1.0), -1)
    return made


def enlarged(name: str, signal: Signal, *, by: str = EXACT, tile: int = 0) -> Signal:
    opened = open_enlarger(
        find_card(name), device=Device(), read_asset=_none, precision="fp32", engine=by
    )
    return opened(signal, tile=tile)


def drawn(pair: Pair, *, by: str = EXACT) -> Signal:
    card = find_card("inbetween")
    morph = open_morph(card, device=Device(), read_asset=_none, precision="fp32", engine=by)
    return morph(pair, 0.4)


def a_pair(height: int, width: int) -> Pair:
    frames = (
        from_uint8(np.rint(picture(height, width, at=at).clip(0, 1) * 255).astype(np.uint8))
        for at in (0, 1)
    )
    return Pair(*frames, depth=8)


@pytest.mark.parametrize("name", UPSCALERS)
@pytest.mark.parametrize("size", [(120, 131), (20, 33)])
def test_fp32_is_what_torch_makes(name: str, size: tuple[int, int]) -> None:
    signal = picture(*size)
    assert np.abs(enlarged(name, signal, by=PLAIN) - enlarged(name, signal)).max() < 2e-6


@pytest.mark.parametrize(("size", "shrink"), [((97, 131), 1), ((101, 150), 2)])
def test_fp32_in_betweens_are_what_torch_draws(
    size: tuple[int, int], shrink: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, and with maps made at half the size, as above a megapixel."""
    monkeypatch.setattr(inbetweening, "shrink_for", lambda pixels: shrink)
    pair = a_pair(*size)
    difference = np.abs(drawn(pair, by=PLAIN) - drawn(pair))
    assert difference.max() < 1e-3, "where motion tears, float32 takes either side"
    assert difference.mean() < 1e-6


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("name", UPSCALERS)
def test_bf16_is_within_60_db_of_exact(name: str) -> None:
    signal = picture(120, 131)
    assert db(enlarged(name, signal, by=BF16), enlarged(name, signal)) > 60
    flat = np.full((40, 40, 3), 0.7, np.float32)
    assert np.abs(enlarged(name, flat, by=BF16) - 0.7).max() < 1 / 1023, "flat paint stays"


@pytest.mark.usefixtures("emulated")
def test_bf16_in_betweens_are_within_60_db_of_exact() -> None:
    pair = a_pair(97, 131)
    assert db(drawn(pair, by=BF16), drawn(pair)) > 60


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("by", [PLAIN, BF16])
@pytest.mark.parametrize("tile", [64, 100, 131])
def test_tiles_equal_whole_bit_for_bit(by: str, tile: int) -> None:
    signal = picture(171, 243)
    whole = enlarged("upscale2x", signal, by=by)
    assert np.array_equal(enlarged("upscale2x", signal, by=by, tile=tile), whole)


def test_it_needs_no_torch_and_reports_to_nobody(tmp_path: Path) -> None:
    program = """
import sys
import numpy as np
from tasks.models.device import Device
from tasks.models.engine import PLAIN
from tasks.stages.registry import make_stage
for name, params in (("upscale", {}), ("interpolate", {"factor": 2})):
    make_stage(name, {**params, "fast": PLAIN}).setup(Device(), None)
from tasks.models.load import load_fast
from tasks.models.shelf import find_card
load_fast(find_card("upscale2x"), engine=PLAIN)(np.zeros((96, 96, 3), np.float32))
print(sorted({"torch", "openvino", "openvino_telemetry"} & set(sys.modules)))
"""
    words = [sys.executable, "-P", "-c", program]
    env = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["['openvino']"]
    assert not list(tmp_path.iterdir()), "OpenVINO's own reports keep an id in the home folder"


@pytest.mark.parametrize(
    ("flags", "engines"),
    [
        ("fma avx512_bf16 amx_bf16", ["openvino-bf16-amx", PLAIN]),
        ("fma avx512_bf16", ["openvino-bf16-avx512", PLAIN]),
        ("fma avx512f", [PLAIN]),
        ("", [PLAIN]),
    ],
)
def test_the_processor_says_which_engines_there_are(
    flags: str, engines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "processor_flags", lambda: frozenset(flags.split()))
    assert list(engines_here()) == engines
    assert fastest_here() == engines[0]


def test_flags_are_read_where_linux_tells_them(tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text("processor\t: 0\nflags\t\t: fpu amx_bf16\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert engine.processor_flags(told) == {"fpu", "amx_bf16"}
    assert engine.processor_flags(tmp_path / "none") == frozenset()


def test_an_engine_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_here(EXACT, where="ep01")
    check_here(PLAIN, where="ep01")
    monkeypatch.setattr(engine, "processor_flags", frozenset)
    with pytest.raises(ClusterError, match=r"ep01: .*openvino-bf16-amx.*openvino-fp32.*exact"):
        check_here(BF16, where="ep01")
    with pytest.raises(ClusterError, match="upscale2x"):
        enlarged("upscale2x", picture(40, 40), by=BF16)


def test_without_openvino_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LIBRARY", "no-such-library")
    assert engines_here() == {}
    assert fastest_here() == EXACT
    with pytest.raises(ClusterError, match=r"douga\[fast\]"):
        check_here(PLAIN, where="ep01")


def db(made: Signal, truth: Signal) -> float:
    return float(-10 * np.log10(np.mean((made - truth) ** 2) + 1e-20))


def _none(path: str) -> bytes:
    raise AssertionError(path)
