"""Leases: a small object in the store, put again and again, shows that its holder lives.

Nothing is locked. The age of the object, by the store's own clock, says whether its holder lives,
so nobody compares the clocks of two machines. A holder that was suspended, or cut off from the
store, knows by its own clock that its lease may have expired (`Lease.expired`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

from cluster.errors import StoreError
from cluster.store.base import Store

HEARTBEAT_S = 10.0


class Lease:
    """The holder's side of a lease; `hold_lease` keeps it fresh."""

    def __init__(self, store: Store, name: str, text: str) -> None:
        self.name = name
        self._store = store
        self._text = text
        self._renewed_s = _clock()
        self._putting = threading.Lock()
        self.keep = False
        """Whether the object stays when the holder ends."""

    def renew(self) -> None:
        """Send a heartbeat now."""
        with self._putting:  # or an older text might come last
            began = _clock()
            self._store.put(self.name, self._text.encode())
            self._renewed_s = began

    def update(self, text: str) -> None:
        """Send a heartbeat now with another text, which later ones have too."""
        self._text = text
        self.renew()

    def expired(self, after: timedelta) -> bool:
        """Whether the last heartbeat that surely arrived is older than this."""
        return _clock() - self._renewed_s > after.total_seconds()


@contextlib.contextmanager
def hold_lease(
    store: Store, name: str, *, text: str = "", heartbeat_s: float = HEARTBEAT_S
) -> Iterator[Lease]:
    """A lease for the length of a `with`, renewed every `heartbeat_s` seconds, then deleted
    (unless `keep` is set).

    StoreError if it cannot be put at first. A renewal that fails is tried again at the next
    heartbeat; a lease that cannot be deleted expires.
    """
    lease = Lease(store, name, text)
    lease.renew()
    ended = threading.Event()

    def send_heartbeats() -> None:
        while not ended.wait(heartbeat_s):
            with contextlib.suppress(StoreError):
                lease.renew()

    heart = threading.Thread(target=send_heartbeats, name=f"lease {name}", daemon=True)
    heart.start()
    try:
        yield lease
    finally:
        ended.set()
        heart.join()
        if not lease.keep:
            with contextlib.suppress(StoreError):
                store.delete(name)


def _clock() -> float:
    """Seconds that go on while the process, or the whole machine, sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
