"""Wait for a run or a night that some process, perhaps on another machine, has begun."""

from __future__ import annotations

import itertools
import time

from cluster.errors import DougaError
from cluster.retry import Backoff
from cluster.store.base import Store
from flows.progress import Reporter
from flows.runs.state import RunStatus, read_status

POLL = Backoff(first_s=0.2, longest_s=5.0, jitter=0.0)
"""Between two polls: little at first, for short runs; later little beside what a run takes."""
SHOTS_EVERY_S = 30.0
"""Between two counts of finished shots, which take a listing."""


def wait_for(
    store: Store,
    place: str,
    reporter: Reporter,
    *,
    timeout_s: float | None = None,
    claim: str = "",
) -> RunStatus:
    """What a run came to, once it has ended or died; as it stands where the time runs out first.

    Reads it at least once. DougaError where the store does not know it, StoreError.
    """
    began = told = time.monotonic()
    for looked in itertools.count(1):
        status = read_status(store, place, claim=claim)
        if status is None:
            raise DougaError("no such run any more", where=f"{store.url}: {place}")
        now = time.monotonic()
        left = None if timeout_s is None else began + timeout_s - now
        if status.exit_code is not None or (left is not None and left <= 0):
            return status
        if now - told >= SHOTS_EVERY_S and not status.is_night:
            told = now
            reporter.phase(f"{status.name}: {_shots_done(store, status)} shots finished")
        pause = POLL.wait_s(looked)
        time.sleep(pause if left is None else min(pause, left))
    raise AssertionError("it looks until it returns")


def _shots_done(store: Store, status: RunStatus) -> str:
    """How many of a run's shots have their manifest."""
    end = f"/{status.run}.json"
    done = sum(entry.name.endswith(end) for entry in store.list(f"shots/{status.name}/"))
    shots = status.document.get("shots_to_render", 0)
    return f"{done} of {shots}" if shots else str(done)
