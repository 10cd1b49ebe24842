"""What a Ray of our own is started under: it listens on 127.0.0.1, and wants a token.

Left to itself, Ray binds every interface of the machine; whoever reaches one of its ports runs
code as its owner. On 127.0.0.1 these are the machine's other users still, hence the token, which is
made for the run and lies in a file that its owner alone reads.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOKEN_VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@contextmanager
def require_token(folder: str) -> Iterator[None]:
    """Ray started within the block, by this process, is closed to others; its token is in `folder`.

    The environment is as before at the end: a cluster joined later has a token of its own.
    """
    token = Path(folder) / "token"
    descriptor = os.open(token, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    kept = {name: os.environ.get(name) for name in TOKEN_VARIABLES}
    os.environ.pop("RAY_AUTH_TOKEN", None)
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token))
    try:
        reload_token()
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
    """A Ray node started within the block binds 127.0.0.1, and so does all that it starts.

    Ray 2.60 does so where clusters are switched off (as it is on Windows and macOS);
    `ray.init(_node_ip_address="127.0.0.1")` is put back to the machine's outer address.
    """
    from ray._private import ray_constants

    kept = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = kept


def reload_token() -> None:
    """Ray remembers mode and token from the first time it is asked in a process."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
