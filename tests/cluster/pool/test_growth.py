"""How many workers an elastic pool asks for: what fits, and no more than there is work for."""

from __future__ import annotations

import pytest

from cluster.pool.growth import workers_to_ask


@pytest.mark.parametrize(
    ("up", "asked", "fits", "calls", "most", "more"),
    [
        (0, 0, 0, 100, None, 1),  # from no node at all: one request for an autoscaler to see
        (0, 1, 0, 100, None, 0),  # it is asked for and has not come
        (1, 1, 1, 100, None, 1),  # it came: one more
        (8, 8, 8, 100, None, 4),  # all came: half as many again
        (8, 8, 20, 100, None, 12),  # nodes joined
        (8, 12, 8, 100, None, 0),  # the cluster is full, four wait
        (8, 8, 20, 10, None, 2),  # no more than there are calls
        (8, 8, 20, 5, None, 0),
        (8, 8, 20, 100, 8, 0),  # --workers 8
        (2, 2, 20, 100, 8, 6),
        (8, 8, 20, 100, 5, -3),  # others have come
        (8, 10, 8, 100, 5, -5),
        (0, 1, 0, 100, 0, -1),  # there is none for it
    ],
)
def test_what_is_asked_for(
    up: int, asked: int, fits: int, calls: int, most: int | None, more: int
) -> None:
    assert workers_to_ask(up=up, asked=asked, fits=fits, calls=calls, most=most) == more
