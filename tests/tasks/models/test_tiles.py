"""Windows over a frame: they cover it, agree in shape and keep to the size asked for."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.models.tiles import LARGEST_AREA, LEAST_EDGE, plan_patches, plan_tiles

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


@given(
    height=st.integers(1, 900),
    width=st.integers(1, 900),
    tile=st.integers(0, 300),
    halo=st.integers(0, 60),
    multiple=st.sampled_from([1, 2, 4, 8, 64]),
)
def test_patches_make_each_pixel_once_the_halo_away_from_edges(height, width, tile, halo, multiple):
    plan = plan_patches(height, width, tile=tile, halo=halo, multiple=multiple)
    tall, wide = height + plan.pad_bottom, width + plan.pad_right
    made = np.zeros((tall, wide), int)
    assert max(plan.pad_bottom, plan.pad_right) < multiple
    for patch in plan.patches:
        made[slice(*patch.rows), slice(*patch.columns)] += 1
        for start, edge, (first, last), length in (
            (patch.top, plan.height, patch.rows, tall),
            (patch.left, plan.width, patch.columns, wide),
        ):
            assert start % multiple == edge % multiple == 0
            assert start >= 0
            assert start + edge <= length
            assert first == start == 0 or first - start >= halo
            assert last == start + edge == length or start + edge - last >= halo
    assert (made == 1).all()


@given(height=st.integers(100, 900), width=st.integers(100, 900), tile=st.integers(1, 300))
def test_patches_are_never_under_the_least_edge(height, width, tile):
    plan = plan_patches(height, width, tile=tile, halo=3)
    assert min(plan.height, plan.width) >= LEAST_EDGE
    assert max(plan.height, plan.width) <= max(tile + 6, LEAST_EDGE)


def test_without_a_halo_there_is_one_patch():
    plan = plan_patches(1080, 1920, tile=64, halo=None, multiple=64)
    assert [(patch.rows, patch.columns) for patch in plan.patches] == [((0, 1088), (0, 1920))]


def test_patches_grow_with_the_halo():
    assert plan_patches(4000, 4000, tile=0, halo=350).height > 4 * 350
    assert plan_patches(4000, 4000, tile=0, halo=10).height <= 512 + 20
