"""Puts objects into a store that may be away for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from cluster.errors import StoreError
from cluster.keys import Digest
from cluster.retry import Backoff

log = logging.getLogger(__name__)

STORE_RETRIES = 4
STORE_BACKOFF = Backoff(first_s=2.0, longest_s=16.0, jitter=0.0)
"""On top of the store's own retries, 30 s in all: a server that restarts is back by then."""


def put_with_retry(put: Callable[[], Digest]) -> Digest:
    """Puts an object and returns the digest of what is stored there now.

    Waits for a store that is away instead of making the frames again. After the last wait it raises
    the store's error, and the pool retries the work item.
    """
    for failed in range(1, STORE_RETRIES + 1):
        try:
            return put()
        except StoreError as error:
            if not error.retryable:
                raise
            wait_s = STORE_BACKOFF.wait_s(failed)
            log.warning("%s: %s; trying again in %g s", error.where, error.what, wait_s)
            time.sleep(wait_s)
    return put()
