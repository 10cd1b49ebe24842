"""Reducing and enlarging by a whole factor."""

import numpy as np
import pytest

from tasks.benchmarks.resample import Filter, enlarge, reduce

KINDS: tuple[Filter, ...] = ("area", "bicubic", "lanczos")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_flat_stays_flat_up_to_the_edges(kind: Filter, factor: int) -> None:
    grey = np.full((24, 36, 3), 137, np.uint8)
    small = reduce(grey, factor=factor, kind=kind)
    assert small.shape == (24 // factor, 36 // factor, 3)
    assert (small == 137).all()
    assert (enlarge(small, factor=factor, kind=kind) == 137).all()


def test_area_is_the_mean_of_each_block() -> None:
    picture = np.random.default_rng(3).integers(0, 256, (12, 18, 3)).astype(np.uint8)
    blocks = picture.reshape(4, 3, 6, 3, 3).mean((1, 3))
    assert np.abs(reduce(picture, factor=3, kind="area") - blocks).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("kind", ["bicubic", "lanczos"])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_nothing_moves(kind: Filter, factor: int) -> None:
    ramp = np.broadcast_to(np.arange(72, dtype=np.uint8)[None, :, None] * 3, (36, 72, 3)).copy()
    small = reduce(ramp, factor=factor, kind=kind)
    inner = slice(4 * factor, 72 - 4 * factor)
    back = enlarge(small, factor=factor, kind=kind)[:, inner].astype(int)
    assert np.abs(back - ramp[:, inner]).max() <= 2
