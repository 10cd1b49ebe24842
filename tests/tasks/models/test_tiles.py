"""Windows over a frame: they cover it, agree in shape and keep to the size asked for."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tasks.models.tiles import LARGEST_AREA, LEAST_EDGE, plan_tiles

edges = st.integers(1, 3000)


@given(height=edges, width=edges, tile=st.integers(0, 700), halo=st.integers(0, 12))
def test_windows_cover_the_padded_frame_exactly(height, width, tile, halo):
    tiling = plan_tiles(height, width, tile=tile, halo=halo)
    for axis, edge, length in (
        (0, tiling.height, height + tiling.pad_bottom),
        (1, tiling.width, width + tiling.pad_right),
    ):
        starts = sorted({corner[axis] for corner in tiling.corners})
        assert starts[0] == 0
        assert starts[-1] + edge == length
        assert all(b - a <= edge for a, b in pairwise(starts))


@given(height=edges, width=edges, tile=st.integers(1, 700), halo=st.integers(0, 12))
def test_windows_keep_between_least_edge_and_tile(height, width, tile, halo):
    tiling = plan_tiles(height, width, tile=tile, halo=halo)
    for edge in (tiling.height, tiling.width):
        assert edge + 2 * halo >= LEAST_EDGE
        assert edge <= max(tile, LEAST_EDGE - 2 * halo)


@given(height=edges, width=edges)
def test_without_a_tile_size_windows_stay_under_the_largest_area(height, width):
    tiling = plan_tiles(height, width, tile=0, halo=8)
    assert tiling.height * tiling.width <= max(LARGEST_AREA, LEAST_EDGE * max(height, width))


def test_small_frame_is_one_window():
    assert plan_tiles(360, 640, tile=0, halo=8).corners == ((0, 0),)
