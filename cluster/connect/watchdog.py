"""The process that holds a run's Ray: `python -m cluster.connect.watchdog RUN FOLDER CPUS`.

CPUS starts a Ray head, whose address it prints (`!why` where it does not start); 0 starts none. It
hears from the run, by its process id, byte for byte on stdin: the numbers of signals that came, and
the steps below. However the run ends, Ray and the folder end with it; a run that hangs in Ray is
ended. If this process is killed, the kernel ends the head (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import select
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CONNECTING, CONNECTED, LEAVING, LEFT = b"c", b"u", b"l", b"e"
LIMITS_S = {CONNECTING[0]: 60.0, CONNECTED[0]: float("inf"), LEAVING[0]: 5.0}
"""How long it may take from a step to the next one, before Ray is ended."""
STOPS_WITHIN_S = 6.0
"""How long a run may take to leave Ray after a signal that stops it."""
GRACE_S = 20.0
"""How long a run may take to notice that its Ray is gone."""
STOP_GRACE_S = 3.0
"""The same after such a signal: it ends within ten seconds."""
OBJECT_STORE_BYTES = 128 << 20
"""Only keys and receipts pass through Ray's object store; pixels go worker ↔ store."""
RAY = "r"
"""Ray's folder inside the run's: Ray makes its own open to everybody (mode 0777)."""
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h


def main() -> None:
    """Watch from a thread; the main thread starts Ray, since Ray ends with the thread that did."""
    run, folder, cpus = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)  # orphans of Ray's become ours
    threading.Thread(target=_watch, args=(run, folder), daemon=True).start()
    if cpus:
        try:
            said = _start_head(folder, cpus)
        except Exception as error:  # a node that is too slow to start raises a bare Exception
            said = f"!{first_line(error)}"
        print(said, flush=True)
    threading.Event().wait()


def first_line(error: Exception) -> str:
    """The first line of an error of Ray's, its name where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _start_head(folder: str, cpus: int) -> str:
    """Start a head that stays on 127.0.0.1 and answers; its address."""
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    from cluster.connect.local import loopback_only

    class Head(Node):
        """Without the dashboard's process, which nobody asks."""

        def start_api_server(self, **_: object) -> None:
            """Nothing."""

    params = RayParams(
        num_cpus=cpus,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        include_log_monitor=False,  # type: ignore[arg-type]
        no_monitor=True,
        temp_dir=os.path.join(folder, RAY),
    )
    logging.disable()  # what Ray warns of is in its logs
    with loopback_only():
        # It asks the head for the node before it is done. The kernel ends all with this thread.
        node = Head(params, head=True, shutdown_at_exit=False, spawn_reaper=True)
    return str(node.gcs_address)


def _watch(run: int, folder: str) -> None:
    until = float("inf")
    stopping = float("inf")
    ended = False
    while True:
        soonest = min(until, stopping)
        left_s = None if soonest == float("inf") else max(0.0, soonest - time.monotonic())
        if not select.select([0], [], [], left_s)[0]:
            if ended or sys.platform != "linux":
                print("douga: Ray hangs, and the run with it: ended", file=sys.stderr, flush=True)
                os.kill(run, signal.SIGKILL)
            end_children()
            grace_s = STOP_GRACE_S if stopping == soonest else GRACE_S
            ended, until, stopping = True, time.monotonic() + grace_s, float("inf")
            continue
        told = os.read(0, 256)
        now = time.monotonic()
        for step in told:
            if step in LIMITS_S:
                until = now + LIMITS_S[step]
            elif step in STOP_SIGNALS:
                stopping = min(stopping, now + STOPS_WITHIN_S)
        if not told or LEFT in told:
            while _children() or os.path.exists(folder):  # the head may be starting still
                end_children()
                shutil.rmtree(folder, ignore_errors=True)
                if time.monotonic() > now + GRACE_S:
                    break
            os._exit(0)


def end_children() -> None:
    """End every process that came of this one. Ray's are ours: their parents are gone."""
    while children := _children():
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _children() -> list[int]:
    listed = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    return [int(word) for words in listed for word in words.split()]


if __name__ == "__main__":
    main()
