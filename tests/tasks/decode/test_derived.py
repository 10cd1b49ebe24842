"""Black and picked frames are read like those of any source."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from cluster.errors import InputError
from cluster.keys import make_key
from tasks.decode import (
    FrameReader,
    SourceIndex,
    black_index,
    index_source,
    picked_index,
    source_key_material,
)
from tasks.frames.codes import BLACK
from tasks.frames.picture import Picture

PICKS = (9, 3, 3, 40, 59)


def test_picked_frames_are_the_sources_own(clips: Any) -> None:
    index = index_source(str(clips("open.mkv")))
    picked = picked_index(index, PICKS)
    assert (len(picked), len(picked.times)) == (5, 5)
    assert picked.end - picked.start == 5 / index.rate
    assert SourceIndex.from_json(picked.to_json()) == picked
    with FrameReader(index) as whole, FrameReader(picked) as some:
        due = whole.read(PICKS)
        assert np.array_equal(some.read([4, 3, 2, 1, 0]), due[::-1])
        for k, planes in enumerate(frame.planes for frame in some.iter_frames()):
            assert all(map(np.array_equal, planes, whole.read_planes(PICKS[k])))
        with pytest.raises(InputError, match="has 5 frames, no frame 5"):
            some.read([5])


def test_picks_are_another_source_with_other_frames(clips: Any) -> None:
    index = index_source(str(clips("closed.mkv")))
    picked = picked_index(index, PICKS)
    assert picked.digest != index.digest
    assert picked.digest != picked_index(index, PICKS[::-1]).digest
    at = [make_key(source_key_material(picked, [k])) for k in range(5)]
    assert at[1] == at[2]
    assert len(set(at)) == 4
    with pytest.raises(InputError, match="no constant rate"):
        picked_index(replace(index, rate=None), PICKS)


@pytest.mark.parametrize(
    ("picture", "samples"),
    [
        (Picture(width=35, height=21), {16, 128}),
        (Picture(width=8, height=8, range="full"), {0, 128}),
        (Picture(width=8, height=8, pix_fmt="yuv422p10le", depth=10), {64, 512}),
        (Picture(width=8, height=8, pix_fmt="gbrp", matrix="rgb", range="full"), {0}),
        (Picture(width=8, height=8, pix_fmt="gray", matrix="bt601", range="full"), {0}),
    ],
)
def test_black_is_black_in_every_kind_of_picture(picture: Picture, samples: set[int]) -> None:
    index = black_index(picture, count=7, seconds=Fraction(7, 24))
    assert (index.rate, len(index), index.end) == (24, 7, Fraction(7, 24))
    assert SourceIndex.from_json(index.to_json()) == index
    with FrameReader(index) as reader:
        frames = reader.read([0, 6])
        assert frames.shape == (2, picture.height, picture.width, 3)
        assert np.unique(frames).tolist() == [BLACK]
        planes = reader.read_planes(3)
        assert {int(value) for plane in planes for value in np.unique(plane)} == samples
    other = black_index(picture, count=8, seconds=Fraction(7, 24))
    assert other.digest != index.digest
