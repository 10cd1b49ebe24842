"""Runs a command and says what it took, with every process that it started.

    python -m tasks.benchmarks.process_tree COMMAND ...

Daemons whose parents have ended become children of this process (PR_SET_CHILD_SUBREAPER), so that
none is lost. A process whose parent ignores the end of its children (Ray's workers) is in no
parent's account: its last sample counts.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_S = 0.1
MEMORY_SAMPLE_S = 1.0
"""To add up the shares of shared pages takes the kernel milliseconds for each process."""
LINGER_S = 20.0
"""What still runs so long after the command is counted as far as it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A process as last seen: CPU seconds, and bytes that went through reads and writes, both with
    those of children that have ended, unless it ignores the end of children."""

    parent: int
    cpu_s: float
    moved_bytes: int = 0
    ignores_children: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What a command took. `cpu_s`, `moved_bytes` (through reads and writes of files and pipes) and
    `peak_bytes` (memory, shared pages shared out) are of all its processes, `stdout` is its own."""

    code: int
    wall_s: float
    cpu_s: float
    peak_bytes: int
    moved_bytes: int
    stdout: str = ""
    stderr: str = ""


def uncounted(samples: Mapping[int, Sample]) -> tuple[float, int]:
    """CPU seconds and moved bytes of processes that are in no parent's account; pure."""
    lost = [
        sample
        for sample in samples.values()
        if (parent := samples.get(sample.parent)) is not None and parent.ignores_children
    ]
    return sum(each.cpu_s for each in lost), sum(each.moved_bytes for each in lost)


def later(before: Sample | None, now: Sample) -> Sample:
    """A process as last seen: one that has ended, but is not waited for yet, says no more of what
    it moved and ignored; pure."""
    if before is None:
        return now
    return replace(
        now,
        cpu_s=max(before.cpu_s, now.cpu_s),
        moved_bytes=max(before.moved_bytes, now.moved_bytes),
        ignores_children=before.ignores_children or now.ignores_children,
    )


def run_measured(command: list[str]) -> Took:
    """Run a command to its end and that of everything it started. Only for a process that has no
    other children."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        started = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        watch = _Watch()
        try:
            code, ended = _wait_for_all(started.pid)
        finally:
            watch.stop()
        took = watch.took()
        texts = [(file.seek(0), file.read().decode(errors="replace"))[1] for file in (out, err)]
    return replace(took, code=code, wall_s=ended - began, stdout=texts[0], stderr=texts[1])


def _wait_for_all(command: int) -> tuple[int, float]:
    """(exit code, time of the end) of the command, once all other children have ended too, or have
    lingered."""
    code, ended = -1, 0.0
    while not ended or time.monotonic() - ended < LINGER_S:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG if ended else 0)
        except ChildProcessError:
            break
        if pid == command:
            code, ended = os.waitstatus_to_exitcode(status), time.monotonic()
        elif not pid:
            time.sleep(SAMPLE_S / 2)
    return code, ended


class _Watch:
    """Samples all processes under this one, from a thread."""

    def __init__(self) -> None:
        self._samples: dict[int, Sample] = {}
        self._peak_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """No more samples."""
        self._ended.set()
        self._thread.join()

    def took(self) -> Took:
        """What all of them took, those that this process waited for by the kernel's account."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        lost_s, lost_bytes = uncounted(self._samples)
        return Took(
            code=0,
            wall_s=0.0,
            cpu_s=used.ru_utime + used.ru_stime + lost_s,
            peak_bytes=self._peak_bytes,
            moved_bytes=_moved_bytes("self") + lost_bytes,
        )

    def _run(self) -> None:
        remember = 0.0
        while not self._ended.wait(SAMPLE_S):
            alive = _tree(os.getpid())
            for pid, sample in alive.items():
                self._samples[pid] = later(self._samples.get(pid), sample)
            if time.monotonic() >= remember:
                remember = time.monotonic() + MEMORY_SAMPLE_S
                held = sum(_memory_bytes(pid) for pid in alive)
                self._peak_bytes = max(self._peak_bytes, held)


def _tree(root: int) -> dict[int, Sample]:
    """Every living process under `root`."""
    there = {int(name): _sample(name) for name in os.listdir("/proc") if name.isdecimal()}
    known = {pid: sample for pid, sample in there.items() if sample is not None}
    under = {root}
    while more := {
        pid for pid, sample in known.items() if sample.parent in under and pid not in under
    }:
        under |= more
    return {
        pid: replace(
            known[pid], moved_bytes=_moved_bytes(pid), ignores_children=_ignores_children(pid)
        )
        for pid in under - {root}
    }


def _sample(pid: str) -> Sample | None:
    try:
        text = Path("/proc", pid, "stat").read_text(errors="replace")
    except OSError:  # it has ended
        return None
    fields = text.rpartition(")")[2].split()  # proc(5): state, ppid, …, utime is the 14th of all
    return Sample(parent=int(fields[1]), cpu_s=sum(int(ticks) for ticks in fields[11:15]) / _TICKS)


def _moved_bytes(pid: int | str) -> int:
    return sum(_numbers(Path("/proc", str(pid), "io"), ("rchar:", "wchar:")))


def _ignores_children(pid: int) -> bool:
    masks = _numbers(Path("/proc", str(pid), "status"), ("SigIgn:",), base=16)
    return any(mask >> (signal.SIGCHLD - 1) & 1 for mask in masks)


def _memory_bytes(pid: int) -> int:
    return 1024 * sum(_numbers(Path("/proc", str(pid), "smaps_rollup"), ("Pss:",)))


def _numbers(path: Path, names: tuple[str, ...], *, base: int = 10) -> list[int]:
    try:
        lines = path.read_text().splitlines()
    except OSError:  # it has ended
        return []
    return [int(line.split()[1], base) for line in lines if line.startswith(names)]


if __name__ == "__main__":
    print(json.dumps(asdict(run_measured(sys.argv[1:]))))
