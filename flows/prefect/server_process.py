"""Prefect's server in a process of its own, for as long as any render holds it.

`python -m flows.prefect.server_process FOLDER HOST PORT`. Whoever uses the server holds a shared
lock on FOLDER/users; the kernel lets go of it however its holder ends. The server ends when nobody
does.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time
from pathlib import Path

POLL_S = 0.3
SHUTDOWN_TIMEOUT_S = 8.0
"""How long the server may take to end by itself."""


def main() -> None:
    """Serve on a port of HOST until FOLDER/users is free."""
    import uvicorn

    folder, host, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    threading.Thread(target=_end_when_unused, args=(folder / "users",), daemon=True).start()
    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )


def _end_when_unused(users: Path) -> None:
    """Take the lock when nobody holds it, and end with it in hand: newcomers wait, and start
    a server of their own."""
    with users.open("rb") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(POLL_S)
            else:
                break
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SHUTDOWN_TIMEOUT_S)
        os._exit(1)


if __name__ == "__main__":
    main()
