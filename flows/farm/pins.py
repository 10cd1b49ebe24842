"""What runs in progress hold against `douga gc`: every object that they read or make.

A run names them in `pins/RUN/names.json` and renews a heartbeat, `pins/RUN/beat`; `douga gc`
announces its sweep under `sweeps/` before it reads the pins. Each puts its own object before it
lists the other's, so that at least one of them sees the other: gc keeps what is pinned, and a run
waits until a sweep ends, then asks the store again what there is.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cluster.errors import StoreError
from cluster.store.base import Store
from cluster.store.lease import hold_lease
from cluster.store.records import record_text
from flows.progress import Reporter
from tasks.worker.item import asset_name, chunk_name, evidence_name, notes_name, source_name

if TYPE_CHECKING:
    from flows.plan.plan import RenderPlan
    from flows.plan.prepare import Prepared

PINS = "pins/"
SWEEPS = "sweeps/"
HEARTBEAT_S = 60.0
PIN_TIMEOUT = timedelta(minutes=15)
"""A pin counts this long after its run's last heartbeat, or for gc's grace if that is more."""
SWEEP_TIMEOUT = timedelta(seconds=60)
"""Others take a sweep without a heartbeat for this long for dead; it stops itself after half."""
POLL_S = 0.5


@contextmanager
def pinned(
    prepared: Prepared, reporter: Reporter, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Prepared]:
    """Hold everything that a run reads or makes for the length of a `with`.

    Yields the run with its plan as the store is once no sweep can take anything of it any more.
    """
    store, plan = prepared.store, prepared.plan
    names = pin_name(plan)
    store.put(names, record_text({"names": sorted(needed_names(prepared))}).encode())
    try:
        beat, holder = f"{PINS}{plan.run}/beat", this_process()
        with hold_lease(store, beat, text=holder, heartbeat_s=HEARTBEAT_S):
            _wait_for_sweeps(store, reporter, sleep)
            yield replace(prepared, plan=plan.with_stored(store.has(plan.objects())))
    finally:
        with suppress(StoreError):  # one that stays times out
            store.delete(names)


def pin_name(plan: RenderPlan) -> str:
    """The object that pins what a run reads or makes: in its store for as long as it lasts."""
    return f"{PINS}{plan.run}/names.json"


def needed_names(prepared: Prepared) -> set[str]:
    """Every object that a run may read or make, apart from its records."""
    plan = prepared.plan
    chunks = {item.key for shot in plan.shots for item in (*shot.items(), *plan.todo(shot))}
    partials = {item.key for shot in plan.shots for run in shot.partials for item in run}
    return {
        *plan.objects(),
        *(evidence_name(shot.segment.key) for shot in plan.shots if shot.segment),
        *(name for key in chunks | partials for name in (chunk_name(key), notes_name(key))),
        *(name for _, name in prepared.index_names()),
        *(source_name(index.digest) for index in prepared.indices),
        *(asset_name(digest) for entry in prepared.inputs for digest in entry.assets.values()),
    }


def pinned_names(document: Any) -> list[str]:
    """The names that the record of a pin holds."""
    if not isinstance(document["names"], list):
        raise TypeError("names is no list")
    return [str(name) for name in document["names"]]


def this_process() -> str:
    """Who holds a lease, for people."""
    return f"{socket.gethostname()} process {os.getpid()}"


def _wait_for_sweeps(store: Store, reporter: Reporter, sleep: Callable[[float], None]) -> None:
    reported = False
    while any(store.now() - sweep.modified < SWEEP_TIMEOUT for sweep in store.list(SWEEPS)):
        if not reported:
            reporter.phase("waiting for douga gc to end")
            reported = True
        sleep(POLL_S)
