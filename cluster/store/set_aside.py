"""What is damaged is moved out of the way, to `damaged/NAME`: never lost, and made again."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from cluster.errors import DigestError, StoreError
from cluster.store.base import NoDigest, NotAllowed, NotStored, Store

DAMAGED = "damaged/"


def set_aside(store: Store, name: str) -> str:
    """Move an object, its bytes as they are, to where nothing reads it; its new name.

    A later one of the same name takes its place there. NotStored if it is gone. NotAllowed where
    it may not be moved; then nothing is.
    """
    data = store.get_range(name, start=0, length=store.size(name))
    store.put(f"{DAMAGED}{name}", data)
    try:
        store.delete(name)
    except NotAllowed:
        with suppress(StoreError):
            store.delete(f"{DAMAGED}{name}")
        raise
    return f"{DAMAGED}{name}"


def set_aside_damaged(store: Store, names: Iterable[str]) -> list[str]:
    """Read these objects and set those aside whose bytes are not those that were put; which they
    are. What has no digest stays: nothing says that it is damaged."""
    found: list[str] = []
    for name in names:
        try:
            store.get(name)
        except (NotStored, NoDigest):
            continue
        except DigestError as error:
            if error.retryable:  # on the way, not in the store
                continue
            with suppress(StoreError):  # a key that may not: the error that follows says what to do
                set_aside(store, name)
                found.append(name)
    return found
