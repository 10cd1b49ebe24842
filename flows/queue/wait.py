"""Wait for a submission to end, on any machine that reaches its store."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

from cluster.errors import TimedOut, UsageError
from cluster.store.base import Store
from flows.progress import Reporter
from flows.queue.submission import SubmissionEnd, newest, read_end
from flows.runs.wait import POLL

ASK_EVERY = 5
"""Looks at the store for one look at the queue."""


def wait_for_end(
    store: Store,
    job: str,
    reporter: Reporter,
    *,
    timeout_s: float | None = None,
    stands: Callable[[], str] = lambda: "waits for the farm",
) -> SubmissionEnd | None:
    """What comes of the newest submission of a job; None where nothing of that name was handed in.
    `stands` says how it stands in the queue, in words. TimedOut."""
    try:
        submission, end = newest(store, job)
    except UsageError:  # no job can be called so: it is a run, an episode or a nightly
        return None
    if submission is None:
        return None
    began, told = time.monotonic(), ""
    for looked in itertools.count(1):
        end = end or read_end(store, submission.name)
        if end is not None:
            return end
        if looked % ASK_EVERY == 1 and (now := stands()) != told:
            told = now
            reporter.phase(f"{submission.episode}: {told}")
        left = None if timeout_s is None else began + timeout_s - time.monotonic()
        if left is not None and left <= 0:
            raise TimedOut(
                f"has not ended after {timeout_s:g} s",
                where=submission.episode,
                remedy=f"it goes on; douga wait {job} to wait for its end",
            )
        pause = POLL.wait_s(looked)
        time.sleep(pause if left is None else min(pause, left))
    raise AssertionError("it looks until it returns")
