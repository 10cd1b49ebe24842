"""What runs in progress hold against `douga gc`: every object that they read or make.

A run names them in `pins/RUN/names.json` and gives signs of life in `pins/RUN/beat`; `douga gc`
announces its sweep under `sweeps/` before it reads the pins. Each puts its own object before it
looks for the other's, so that one of them at least sees the other: `gc` leaves what is pinned, and
a run waits for a sweep's end, then asks the store again what there is.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cluster.errors import StoreError
from cluster.store.base import Store
from cluster.store.lease import Lease, hold_lease
from flows.progress import Reporter
from tasks.worker.item import asset_name, chunk_name, notes_name, source_name

if TYPE_CHECKING:
    from flows.plan.prepare import Prepared

PINS = "pins/"
SWEEPS = "sweeps/"
PIN_BEAT_S = 60.0
PIN_LAPSE = timedelta(minutes=15)
"""A pin counts for so long after its run's last sign of life, or for gc's grace if that is more."""
SWEEP_LAPSE = timedelta(seconds=60)
"""A sweep is dead for others when so long silent; it stops itself after half of it."""
POLL_S = 0.5


@contextmanager
def pinned(prepared: Prepared, reporter: Reporter) -> Iterator[Prepared]:
    """Hold everything that a run reads or makes for the length of a `with`.

    Gives the run with its plan as the store is once no sweep can take anything of it any more.
    """
    store, plan = prepared.store, prepared.plan
    names = f"{PINS}{plan.run}/names.json"
    store.put(names, json.dumps({"names": sorted(needed_names(prepared))}).encode())
    try:
        beat, holder = f"{PINS}{plan.run}/beat", this_process()
        with hold_lease(store, beat, text=holder, beat_s=PIN_BEAT_S) as lease:
            _wait_for_sweeps(store, lease, reporter)
            yield replace(prepared, plan=plan.with_stored(store.has(plan.objects())))
    finally:
        with suppress(StoreError):  # one that stays lapses
            store.delete(names)


def needed_names(prepared: Prepared) -> set[str]:
    """Every object that a run may read or make, apart from its records."""
    plan = prepared.plan
    chunks = {item.key for shot in plan.shots for item in (*shot.items(), *plan.todo(shot))}
    known = {item.key for shot in plan.shots for made in shot.partials for item in made}
    return {
        *plan.objects(),
        *(name for key in chunks | known for name in (chunk_name(key), notes_name(key))),
        *(name for _, name in prepared.index_names()),
        *(source_name(index.digest) for index in prepared.indices),
        *(asset_name(digest) for entry in prepared.inputs for digest in entry.assets.values()),
    }


def this_process() -> str:
    """Who holds a lease, for people."""
    return f"{socket.gethostname()} process {os.getpid()}"


def _wait_for_sweeps(store: Store, lease: Lease, reporter: Reporter) -> None:
    told = False
    while any(_lives(sweep.modified, lease) for sweep in store.list(SWEEPS)):
        if not told:
            reporter.phase("waiting for douga gc to end")
            told = True
        time.sleep(POLL_S)


def _lives(modified: datetime, lease: Lease) -> bool:
    return lease.store_time() - modified < SWEEP_LAPSE
