"""Signs of life in a store: who is at work, told by a small object put again and again.

Nothing is locked. A lease is an object; how long ago it was put says whether its holder lives, by
the store's own clock, so that no two machines' clocks are compared. A holder that was stopped, or
cut off from the store, knows by its own clock that it may count as dead (`Lease.lapsed`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cluster.errors import StoreError
from cluster.store.base import Store

BEAT_S = 10.0


class Lease:
    """The holder's side of a lease; `hold_lease` keeps it fresh."""

    def __init__(self, store: Store, name: str, text: str) -> None:
        self.name = name
        self._store = store
        self._text = text
        self._renewed_s = _clock()
        self._putting = threading.Lock()
        self.stays = False
        """Whether the object is left behind when the holder lets go."""

    def renew(self) -> None:
        """Give a sign of life now."""
        with self._putting:  # or older words might come last
            began = _clock()
            self._store.put(self.name, self._text.encode())
            self._renewed_s = began

    def say(self, text: str) -> None:
        """Give a sign of life now with other words, which the later ones have too."""
        self._text = text
        self.renew()

    def lapsed(self, after: timedelta) -> bool:
        """Whether the last sign of life that surely arrived was given longer ago than this."""
        return _clock() - self._renewed_s > after.total_seconds()

    def store_time(self) -> datetime:
        """What the store's clock says, from a sign of life given now."""
        self.renew()
        times = [each.modified for each in self._store.list(self.name) if each.name == self.name]
        return times[0] if times else datetime.now(UTC)


@contextlib.contextmanager
def hold_lease(
    store: Store, name: str, *, text: str = "", beat_s: float = BEAT_S
) -> Iterator[Lease]:
    """A lease for the length of a `with`, renewed every `beat_s` seconds, then taken back (unless
    its `stays` was set).

    StoreError if it cannot be put at first. A later renewal that fails is tried again at the next
    beat; one that cannot be taken back lapses.
    """
    lease = Lease(store, name, text)
    lease.renew()
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(beat_s):
            with contextlib.suppress(StoreError):
                lease.renew()

    heart = threading.Thread(target=beat, name=f"lease {name}", daemon=True)
    heart.start()
    try:
        yield lease
    finally:
        ended.set()
        heart.join()
        if not lease.stays:
            with contextlib.suppress(StoreError):
                store.delete(name)


def _clock() -> float:
    """Seconds that go on while the process, or the whole machine, sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
