"""Which waiting item a free worker takes next. A pure rule, so that it is tested without Ray."""

from __future__ import annotations

from collections.abc import Sequence


def choose_next(groups: Sequence[str], *, last: str | None, busy: frozenset[str]) -> int:
    """Index of the waiting item (given by their groups, oldest first) for a worker.

    A group is what shares warm state, such as one shot's decoder position. First choice: the
    group the worker had last; second: a group that no worker is on; else the oldest item.
    ValueError if nothing waits.
    """
    if not groups:
        raise ValueError("nothing waits")
    if last is not None and last in groups:
        return groups.index(last)
    return next((i for i, group in enumerate(groups) if group not in busy), 0)
