"""How many workers more, or fewer, an elastic pool has. Pure."""

from __future__ import annotations


def workers_to_ask(*, up: int, asked: int, fits: int, calls: int, most: int | None) -> int:
    """How many workers to ask Ray for beside those `asked` already, of which `up` are at work.

    As many as the cluster's nodes have room for (`fits`), whoever holds it now, but none that would
    have no call to make of the `calls` that wait or are in flight, and no more than `most` (None:
    any number): less than 0 says how many to let go. Once all that were asked for are up, half as
    many again: what is asked for and finds no room is what tells an autoscaler to bring a node,
    from no node at all too.
    """
    wanted = max(fits, 1)
    if up >= asked:
        wanted = max(wanted, asked + max(1, asked // 2))
    wanted = max(asked, min(wanted, calls))
    return (wanted if most is None else min(wanted, most)) - asked
