"""Tries of a request to an S3 service: bounded, later and later by chance, told and counted.

botocore's own repeats are off (`store_s3_client`): they neither say that they happen nor know
`Retry-After`, and end before the body of an answer is read.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from cluster.errors import StoreError
from cluster.store.s3_errors import asked_wait_s, is_busy

FIRST_WAIT_S = 0.2
BUSY_WAIT_S = 1.0
"""For a service that says that it gets too many requests (429, SlowDown)."""
LONGEST_WAIT_S = 20.0
LONGEST_ASKED_S = 60.0
"""A service that asks for more is asked again all the same: the pool has longer waits."""

T = TypeVar("T")
log = logging.getLogger(__name__)


def wait_s(failed: int, *, chance: float, busy: bool = False, asked_s: float = 0.0) -> float:
    """Seconds before the next try after `failed` ones; `chance` in [0, 1).

    Anything up to a bound that doubles ("full jitter": Brooker, Exponential Backoff And Jitter,
    AWS Architecture Blog 2015), on top of what the service asked for.
    """
    first = BUSY_WAIT_S if busy else FIRST_WAIT_S
    longest = min(LONGEST_WAIT_S, first * 2.0 ** (failed - 1))
    return min(asked_s, LONGEST_ASKED_S) + chance * longest


def is_passing(error: StoreError) -> bool:
    """Whether the same request may succeed when sent again."""
    return error.retryable


class Retries:
    """Tries requests, each `attempts` times at the most. Used by many threads at once."""

    def __init__(
        self,
        attempts: int,
        *,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._attempts = attempts
        self._chance = chance
        self._sleep = sleep
        self._count = 0
        self._counting = threading.Lock()

    @property
    def count(self) -> int:
        """How many requests were sent again so far."""
        return self._count

    def run(self, call: Callable[[], T], *, again: Callable[[StoreError], bool] = is_passing) -> T:
        """What `call` gives, tried again after errors that `again` holds to pass.

        Each is one line of the log: what failed, which try comes, after which wait. The last
        error is raised.
        """
        for failed in range(1, self._attempts):
            try:
                return call()
            except StoreError as error:
                if not again(error):
                    raise
                wait = wait_s(
                    failed,
                    chance=self._chance(),
                    busy=is_busy(error.__cause__),
                    asked_s=asked_wait_s(error.__cause__),
                )
                with self._counting:
                    self._count += 1
                text = f"{error.where}: {error.what}"
                log.warning("%s; try %d of %d in %.2f s", text, failed + 1, self._attempts, wait)
            self._sleep(wait)
        return call()
