"""What libav passes over in silence at the end of a GIF or an MP4 is found by walking the file."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from typing import Any

import pytest

from cluster.errors import InputError
from tasks.decode import index_source
from tasks.decode.gif_blocks import walk_gif
from tasks.decode.grid import missing_frames
from tasks.decode.mp4_boxes import strays_at


def test_a_whole_gif_ends_with_its_mark(clips: Any) -> None:
    data = clips("even.gif").read_bytes()
    assert walk_gif(BytesIO(data)) == (20, "")
    pictures, why = walk_gif(BytesIO(data[:-1]))
    assert (pictures, why) == (20, "it ends without an end mark")


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_gif_cut_short_counts_what_is_whole(clips: Any, part: float) -> None:
    data = clips("even.gif").read_bytes()
    pictures, why = walk_gif(BytesIO(data[: int(len(data) * part)]))
    assert 0 < pictures < 20
    assert why


def test_an_mp4_is_boxes_to_its_end(clips: Any) -> None:
    data = clips("closed.mp4").read_bytes()
    assert strays_at(BytesIO(data), size_bytes=len(data)) is None
    more = data + bytes(40)
    assert strays_at(BytesIO(more), size_bytes=len(more)) == len(data)
    assert strays_at(BytesIO(data), size_bytes=len(data) - 1) is not None


def test_a_hole_is_told_however_long_it_is() -> None:
    pts = [*range(12), *range(24, 36)]
    told = missing_frames(pts, time_base=Fraction(1, 24), rate=Fraction(24))
    assert told == (12, 11)
    on_threes = [k for k in range(36) if k % 3 != 1]
    assert missing_frames(on_threes, time_base=Fraction(1, 24), rate=Fraction(24)) == (0, 0)


def test_a_first_key_frame_that_is_refused_is_damage_no_beginning(
    clips: Any, tmp_path: Any
) -> None:
    film = clips("closed.mp4").read_bytes()
    at = film.index(b"mdat") + 8
    path = tmp_path / "a.mp4"
    path.write_bytes(film[:at] + bytes(1200) + film[at + 1200 :])
    with pytest.raises(InputError, match=r"frame 0 cannot be decoded"):
        index_source(str(path))
