"""The peers of a render: the tight loop makes the frames that the product makes, in order."""

from pathlib import Path

import numpy as np
import pytest

from tasks.benchmarks.speed import WAYS, Upscalers, upscaler
from tasks.decode import FrameReader, index_source
from tasks.models.engine import EXACT, fastest_here


@pytest.mark.parametrize("engine", [EXACT, fastest_here()])
def test_networks_side_by_side_give_the_frames_of_one_in_order(
    tiny_film: Path, engine: str
) -> None:
    index = index_source(str(tiny_film))
    frames = FrameReader(index).read(range(7))
    upscale = upscaler(index, engine)
    with Upscalers(index, engine) as upscalers:
        made = list(upscalers.each(frames))
    assert np.array_equal(made, [upscale(frame) for frame in frames])


@pytest.mark.parametrize("way", WAYS)
def test_every_way_goes_through_the_whole_film(tiny_film: Path, way: str) -> None:
    frames, seconds = WAYS[way](tiny_film, EXACT)
    assert frames == len(index_source(str(tiny_film)))
    assert seconds > 0
