"""Closes a local Ray to others: it listens on 127.0.0.1 and wants a token.

By default Ray binds every interface of the machine, and whoever reaches one of its ports runs code
as its owner. On 127.0.0.1 the machine's other users still reach it, hence the token: made for the
run, in a file that only its owner can read, in a folder that only its owner can enter (Ray opens
its own to everybody: another user could put a token of his there).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOPBACK_VARIABLE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Where Ray reads, when it is imported, whether it may listen elsewhere than on 127.0.0.1; "0": it
may not."""
TOKEN_VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@contextmanager
def require_token(folder: Path) -> Iterator[None]:
    """Make Ray want a token, for as long as the block lasts; the token's file is in `folder`.

    A process that has imported Ray must `reload_token`. Restores the environment at the end: a
    cluster joined later has its own token.
    """
    token = folder / "token"
    descriptor = os.open(token, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    kept = {name: os.environ.get(name) for name in TOKEN_VARIABLES}
    os.environ.pop("RAY_AUTH_TOKEN", None)
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token))
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        reload_token()


@contextmanager
def loopback_only() -> Iterator[None]:
    """Make a Ray node started in the block bind 127.0.0.1, and so everything that it starts.

    Ray 2.60 does so where clusters are switched off (as on Windows and macOS); it replaces the
    address of `ray.init(_node_ip_address="127.0.0.1")` by the machine's outer one.
    """
    from ray._private import ray_constants

    kept = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = kept


@contextmanager
def loopback_for_children() -> Iterator[None]:
    """Have Ray in processes that are started in the block know that its head binds 127.0.0.1."""
    kept = os.environ.get(LOOPBACK_VARIABLE)
    os.environ[LOOPBACK_VARIABLE] = "0"
    try:
        yield
    finally:
        if kept is None:
            os.environ.pop(LOOPBACK_VARIABLE, None)
        else:
            os.environ[LOOPBACK_VARIABLE] = kept


def is_this_machine(address: str) -> bool:
    """Whether all nodes of the cluster at `host:port` are on this machine: it is one that a process
    of ours started here and lends ("": one that is to be started)."""
    return not address or os.environ.get(LOOPBACK_VARIABLE) == "0"


def reload_token() -> None:
    """Make Ray read mode and token again; a process reads them once otherwise."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
