"""What a worker finds on the machine that it runs on: a cache of its own, and the run's store."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cluster.errors import DougaError
from cluster.settings import home_folder
from cluster.store.base import Store

STORE, THE_RUNS = "the store", "the run's"
"""By which name a worker tells of its store, and what it says of the right one."""


def node_cache() -> Path:
    """The cache folder of this machine: in douga's home here, or in the temporary folder where that
    cannot be written. Whoever started the run may be another user on another machine."""
    try:
        return home_folder("cache")
    except DougaError:
        return Path(tempfile.gettempdir()) / f"douga-cache-{os.getuid()}"


def store_seen(store: Store, name: str) -> str:
    """THE_RUNS if an object of the run is in this machine's store, else what is there. Listed: a
    worker's key may look at what is there, and reads little of it."""
    try:
        there = any(stored.name == name for stored in store.list(name))
        return THE_RUNS if there else f"another one at {store.url}"
    except DougaError as error:
        return f"not to be reached ({error.what})"
