"""Retries requests to an S3 service: a bounded number of times, with back-off, logged and counted.

botocore's own retries are off (`s3_client`): they are silent, ignore `Retry-After`, and end before
the body of an answer is read.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from cluster.errors import StoreError
from cluster.retry import Backoff
from cluster.store.s3_errors import asked_wait_s, is_busy

PLAIN = Backoff(first_s=0.2, longest_s=20.0, jitter=1.0)
BUSY = Backoff(first_s=1.0, longest_s=20.0, jitter=1.0)
"""For a service that says that it gets too many requests (429, SlowDown)."""
LONGEST_ASKED_S = 60.0
"""The longest `Retry-After` that is obeyed: after it, the pool has longer waits."""

T = TypeVar("T")
log = logging.getLogger(__name__)


def wait_s(failed: int, *, chance: float, busy: bool = False, asked_s: float = 0.0) -> float:
    """Seconds before the next try after `failed` failed ones; `chance` in [0, 1)."""
    backoff = BUSY if busy else PLAIN
    return backoff.wait_s(failed, chance=chance, asked_s=min(asked_s, LONGEST_ASKED_S))


def is_passing(error: StoreError) -> bool:
    """Whether the same request may succeed when it is sent again."""
    return error.retryable


class Retries:
    """Sends each request up to `attempts` times. Many threads use it at once."""

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
        """Number of retries so far."""
        return self._count

    def run(self, call: Callable[[], T], *, again: Callable[[StoreError], bool] = is_passing) -> T:
        """Call `call`, again after errors for which `again` says so; its result or its last error.

        Logs one line per retry: what failed, which try comes next, after which wait.
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
