"""Live updates: one thread lists the stores, everybody who looks hears what changed.

An event is `id: BOOT-NUMBER`, `event: NAME`. NAMEs are `board` (anything), `night`, and by
`event_name` one for each episode and each shot. Whoever comes back with a Last-Event-ID hears what
was missed; one that is too old, or of another desk, hears `reload`.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

from cluster.keys import make_key
from flows.desk.library import Change, Library

EVERY_S = 1.5
"""Between two listings; ten times as long as one took where that is more."""
KEPT = 5000
"""Events that somebody who comes back can still hear of."""
PING_S = 15.0
"""Between two signs of life: proxies close a connection that is silent for a minute."""
RELOAD = "reload"


def event_name(store: str, episode: str, shot: str = "") -> str:
    """The event of an episode, or of one of its shots."""
    kind = "shot" if shot else "episode"
    return f"{kind}-{make_key([store, episode, shot])[:12]}"


def names_of(changes: Iterable[Change], *, is_new: Callable[[Change], bool]) -> list[str]:
    """The events that some changes are, each once. A shot that `is_new` changes its episode's
    list of shots as well."""
    names: dict[str, None] = {}
    for change in changes:
        names["board"] = None
        if change.kind == "night":
            names["night"] = None
            continue
        if change.shot:
            names[event_name(change.store, change.episode, change.shot)] = None
        if change.kind == "run" or (change.shot and is_new(change)):
            names[event_name(change.store, change.episode)] = None
    return list(names)


@dataclass(slots=True)
class _Listener:
    loop: asyncio.AbstractEventLoop
    queue: asyncio.Queue[tuple[int, str]] = field(default_factory=asyncio.Queue)


class Feed:
    """The events of a desk; `hear` is told of changes in the listing's own thread."""

    def __init__(self, library: Library, *, hear: Callable[[list[Change]], None]) -> None:
        self._library = library
        self._hear = hear
        self._boot = secrets.token_hex(4)
        self._events: deque[tuple[int, str]] = deque(maxlen=KEPT)
        self._last = 0
        self._listeners: list[_Listener] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """List the stores now, then again and again."""
        self._library.refresh()
        self._thread.start()

    def close(self) -> None:
        """End the listing, and every stream."""
        self._ended.set()
        self._wake.set()
        self._send([""])

    def look_now(self) -> None:
        """Have the next listing begin at once: this desk has just put something."""
        self._wake.set()

    @property
    def position(self) -> str:
        """The id of the newest event: whoever was answered after it asks for what came since."""
        return f"{self._boot}-{self._last}"

    async def stream(self, last_id: str) -> AsyncIterator[str]:
        """Server-sent events from now on, after what was missed since `last_id`."""
        listener = _Listener(asyncio.get_running_loop())
        with self._lock:
            missed = self._since(last_id)
            self._listeners.append(listener)
        try:
            yield "retry: 2000\n\n"
            for number, name in missed:
                yield self._text(number, name)
            while not self._ended.is_set():
                try:
                    event = await asyncio.wait_for(listener.queue.get(), PING_S)
                    if event[1]:
                        yield self._text(*event)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            with self._lock:
                self._listeners.remove(listener)

    def _since(self, last_id: str) -> list[tuple[int, str]]:
        if not last_id:
            return []
        boot, _, number = last_id.partition("-")
        oldest = self._events[0][0] if self._events else self._last + 1
        if boot != self._boot or not number.isdigit() or int(number) < oldest - 1:
            return [(self._last, RELOAD)]
        return [event for event in self._events if event[0] > int(number)]

    def _text(self, number: int, name: str) -> str:
        return f"id: {self._boot}-{number}\nevent: {name}\ndata: {number}\n\n"

    def _run(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            changes = self._library.refresh()
            if changes:
                self._hear(changes)
                self._send(names_of(changes, is_new=self._is_new))
            took = time.monotonic() - began
            self._wake.wait(max(EVERY_S, 10 * took))
            self._wake.clear()

    def _is_new(self, change: Change) -> bool:
        shelf = self._library.shelf(change.store)
        return shelf is not None and len(shelf.under(f"shots/{change.episode}/{change.shot}/")) < 2

    def _send(self, names: list[str]) -> None:
        with self._lock:
            for name in names:
                self._last += 1
                self._events.append((self._last, name))
                for each in self._listeners:
                    each.loop.call_soon_threadsafe(each.queue.put_nowait, (self._last, name))
