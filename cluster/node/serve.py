"""A machine's life as a node: it joins when it is the farm's, and leaves when it is not.

Leaving is asked for, not done: the node's word in the farm's store has renders let their workers
here go after the chunk in hand. Ray ends when none is left, or none may be waited for any longer.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from importlib.metadata import version

from cluster.connect.driver_node import check_closed
from cluster.connect.head_check import check_head
from cluster.errors import ClusterError, DougaError, StoreError, os_reason
from cluster.node.lending import Away, Lending
from cluster.node.machine import Machine, free_bytes, load_share
from cluster.node.ray_node import NodeSpec, RayNode, ray_node
from cluster.node.records import HERE, Here, come_back, leave, name_of, nodes_out, read_out
from cluster.retry import Backoff
from cluster.store.base import Store
from cluster.store.lease import HEARTBEAT_S, Lease
from cluster.store.records import record_text

JOIN = "--join"
POLL_S = 5.0
"""Between two looks at hours, owner, notices and orders."""
LEAVES_WITHIN_S = 900.0
"""How long workers are waited for: a render that does not share the farm never lets them go."""
ENDS_BEFORE_S = 5.0
"""Ray ends so long before a cloud takes the machine: its head then knows at once."""
AGAIN = Backoff(first_s=2, longest_s=60)
SAYS_GOODBYE_WITHIN_S = 2.0


def be_a_node(
    spec: NodeSpec,
    machine: Machine,
    *,
    lending: Lending,
    store: Store | None,
    tell: Callable[[str], None],
    sleep_command: Sequence[str] = (),
    poll_s: float = POLL_S,
) -> None:
    """Be a node until an exception (Ctrl-C) ends it; nothing of Ray's is left then.

    `tell` gets each new state, one line. Without a `store`, nobody hears that the node leaves.
    UsageError and ClusterError where the head does not answer at first, RefusedError where anybody
    may join it; later it is tried again.
    """
    here = Here(
        name=spec.name,
        host=machine.host,
        state="joins",
        cpus=spec.cpus or machine.cpus,
        memory_bytes=machine.memory_bytes,
        cards=machine.cards,
        tags=spec.tags,
        licences=spec.licences,
        douga=version("douga"),
        ray=version("ray"),
        mac=machine.mac,
        broadcast=machine.broadcast,
        sleeps=bool(sleep_command),
    )
    check_head(spec.address, option=JOIN)
    check_closed(spec.address)
    with _telling(store, here, tell) as say:
        _Life(spec, lending, store, say, sleep_command, poll_s).live()


Say = Callable[[str, int], None]
"""Tells people and the store of a state, and of how many workers are here."""


class _Life:
    def __init__(
        self,
        spec: NodeSpec,
        lending: Lending,
        store: Store | None,
        say: Say,
        sleep_command: Sequence[str],
        poll_s: float,
    ) -> None:
        self._spec = spec
        self._lending = lending
        self._store = store
        self._say = say
        self._sleep_command = sleep_command
        self._poll_s = poll_s
        self._slept_for: Away | None = None
        self._said_away: Away | None = Away(why="")
        """What the store says of this node: that it is away, where one before was killed so."""

    def live(self) -> None:
        failed = 0
        while True:
            if away := self._away():
                self._leave(away)
                self._say(f"away: {away.why}", 0)
                self._sleep(away)
                time.sleep(self._poll_s)
                continue
            self._slept_for = None
            why = self._work()
            failed = failed + 1 if why else 0
            if why:
                wait_s = AGAIN.wait_s(failed, chance=random.random())
                self._say(f"{why}; tries again", 0)
                time.sleep(wait_s)

    def _work(self) -> str:
        """Be in Ray while the machine is the farm's; why that ended too early, or ""."""
        try:
            check_head(self._spec.address, option=JOIN)
        except ClusterError as error:
            return error.what
        self._come_back()
        self._say(f"joins {self._spec.address}", 0)
        with ray_node(self._spec) as node:
            if why := node.wait():
                return f"Ray does not start ({why})"
            while node.runs():
                if away := self._away():
                    self._leave(away)
                    self._see_off(node, away)
                    return ""
                self._say(f"on the farm at {self._spec.address}", node.workers())
                time.sleep(self._poll_s)
        return f"Ray at {self._spec.address} has ended, or left this node"

    def _away(self) -> Away | None:
        """Why the machine is not the farm's now: by its rule, or since it was told to sleep."""
        if away := self._lending.away():
            return away
        if self._store is None or not self._sleep_command:
            return None
        with suppress(StoreError):  # the next look may succeed
            record = nodes_out(self._store, self._spec.name).get(self._spec.name)
            if record == name_of(self._spec.name, "sleep"):
                return Away(why=str(read_out(self._store, record)), may_sleep=True)
        return None

    def _see_off(self, node: RayNode, away: Away) -> None:
        """Wait until the workers here have ended their chunks."""
        limit_s = LEAVES_WITHIN_S if away.within_s is None else away.within_s - ENDS_BEFORE_S
        until = time.monotonic() + (limit_s if self._store is not None else 0)
        while (workers := node.workers()) and node.runs() and time.monotonic() < until:
            self._leave(away)  # where the store did not take it yet
            self._say(f"leaves after the chunks in hand: {away.why}", workers)
            time.sleep(min(1.0, self._poll_s))

    def _sleep(self, away: Away) -> None:
        if not self._sleep_command or not away.may_sleep or self._slept_for == away:
            return
        self._slept_for = away
        try:
            subprocess.run(self._sleep_command, stdin=subprocess.DEVNULL, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            why = os_reason(error) if isinstance(error, OSError) else str(error)
            self._say(f"does not sleep ({why})", 0)

    def _leave(self, away: Away) -> None:
        if self._store is None or self._said_away == away:
            return
        with suppress(StoreError):
            leave(self._store, self._spec.name, why=away.why, until=away.until)
            self._said_away = away

    def _come_back(self) -> None:
        if self._store is None or self._said_away is None:
            return
        with suppress(StoreError):
            come_back(self._store, self._spec.name)
            self._said_away = None


@contextmanager
def _telling(store: Store | None, here: Here, tell: Callable[[str], None]) -> Iterator[Say]:
    """What takes each state of a node for the length of a `with`: people get a line where it is
    new, the farm's store a heartbeat, and at the end that the node is gone."""
    lease = Lease(store, name_of(here.name, HERE), "") if store is not None else None
    now, ended = here, threading.Event()

    def put() -> None:
        if lease is not None:
            with suppress(DougaError, OSError):  # the next heartbeat may arrive
                fresh = replace(now, load=round(load_share(), 2), disk_free_bytes=free_bytes())
                lease.update(record_text(asdict(fresh)))

    def beat() -> None:
        while not ended.wait(HEARTBEAT_S):
            put()
        put()

    def say(state: str, workers: int) -> None:
        nonlocal now
        if state != now.state:
            tell(state)
        changed = (state, workers) != (now.state, now.workers)
        now = replace(now, state=state, workers=workers)
        if changed:
            put()

    put()
    heart = threading.Thread(target=beat, name="node's heartbeat", daemon=True)
    heart.start()
    try:
        yield say
    finally:
        now = replace(now, state="gone", workers=0)
        ended.set()
        heart.join(SAYS_GOODBYE_WITHIN_S)
