"""A run's side of its watchdog: starts it, tells it how far the run is, ends it.

The interpreter may be blocked inside Ray, where no signal handler, no thread and no time limit
works: the watchdog is another process, and hears of signals from the C level (set_wakeup_fd).
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.connect.watchdog import LEFT, RAY
from cluster.errors import ClusterError, os_reason
from cluster.scratch import scratch_folder
from cluster.settings import child_environment

START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0
ADDRESS_SPACE_BYTES = 4 << 30
"""With `ulimit -v` of 2 GiB gRPC hangs without its threads, with 3 Ray starts none, 4 will do."""
SOCKET_BYTES = 107 if sys.platform == "linux" else 103
"""The longest path of a socket (unix(7): sun_path, with a zero at its end)."""
LONGEST = f"/douga-12345678/{RAY}/session_2026-11-30_07-54-56_849123_1234567/sockets/plasma_store"
"""The longest path of Ray's in a run's folder, whose name is therefore short."""


def check_address_space() -> None:
    """ClusterError where this process may have less than Ray reserves: it would hang, or abort."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed != resource.RLIM_INFINITY and allowed < ADDRESS_SPACE_BYTES:
        raise ClusterError(
            f"memory is limited to {allowed / 2**30:.3g} GiB of address space, Ray wants "
            f"{ADDRESS_SPACE_BYTES / 2**30:g}",
            remedy="raise ulimit -v, or render on another machine",
        )


@contextmanager
def ray_folder() -> Iterator[Path]:
    """The run's private folder, where Ray's sockets fit: in TMPDIR, or in /tmp where its name is
    too long. ClusterError where it cannot be made."""
    place = Path(tempfile.gettempdir())
    if len(os.fsencode(place)) + len(LONGEST) > SOCKET_BYTES:
        place = Path("/tmp")
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch_folder("", temporary=place))
        except OSError as error:
            raise ClusterError(
                f"{place}: Ray's folder cannot be made ({os_reason(error)})",
                remedy="make room there, or set TMPDIR to a short path elsewhere",
            ) from error
        yield folder


class Watchdog:
    """The process that holds a run's Ray."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin
        assert process.stdout
        self._process = process
        self._said = process.stdout
        self._told = process.stdin.fileno()

    def tell(self, step: bytes) -> None:
        """Say how far the run is."""
        with contextlib.suppress(OSError):  # it is gone, and its head with it
            os.write(self._told, step)

    def address(self) -> str:
        """The address of its head, once that answers. RuntimeError where it does not start."""
        until = time.monotonic() + START_TIMEOUT_S
        if not select.select([self._said], [], [], max(0.0, until - time.monotonic()))[0]:
            raise RuntimeError(f"it does not answer within {START_TIMEOUT_S:g} s")
        line = self._said.readline().decode(errors="replace").strip()
        if line.startswith("!") or not line:
            raise RuntimeError(line[1:] or "its process ended")
        return line


@contextmanager
def watch(folder: Path, *, cpus: int) -> Iterator[Watchdog]:
    """A watchdog for the length of a `with`, with a Ray head of so many CPUs; 0: without one."""
    with subprocess.Popen(
        [
            *(sys.executable, "-P", "-m", "cluster.connect.watchdog"),
            *(str(os.getpid()), str(folder), str(cpus)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_environment(folder),
        start_new_session=True,
    ) as process:
        assert process.stdin
        watchdog = Watchdog(process)
        try:
            with _hearing_signals(process.stdin.fileno()):
                yield watchdog
        finally:
            watchdog.tell(LEFT)
            try:
                process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _environment(folder: Path) -> dict[str, str]:
    """The environment of Ray's processes: no secrets, their temporary files in the run's folder."""
    more = {"RAY_DEDUP_LOGS": "0"}
    if folder.parent == Path(tempfile.gettempdir()):
        temporary = folder / "t"
        temporary.mkdir(mode=0o700)
        more["TMPDIR"] = str(temporary)
    return child_environment(more)


@contextmanager
def _hearing_signals(told: int) -> Iterator[None]:
    """Have the interpreter write the number of every signal to `told`, even where Ray blocks it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    if before != -1:  # an event loop wants them
        signal.set_wakeup_fd(before)
        yield
        return
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
