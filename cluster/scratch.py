"""Temporary folders that are gone with their owner, or swept by whoever comes next.

A folder holds `.owner`: which process of which machine made it, locked (flock) for as long as that
lives, however it ends. A folder is swept only by its own user on its own machine, and only when
its lock is free.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.cache import UNREADABLE

OWNER = ".owner"
TEMPORARY, BESIDE = "douga-", ".douga-"
ROOM_BYTES = 16 << 20
"""Ray's logs of a short run take a few MB; with 64 KiB no worker of its starts, or says why."""
BOOT, MACHINE = Path("/proc/sys/kernel/random/boot_id"), Path("/etc/machine-id")


@contextmanager
def scratch_folder(
    kind: str, *, beside: Path | None = None, temporary: Path | None = None
) -> Iterator[Path]:
    """A private folder (mode 0700) for the length of a `with`: hidden in `beside`, else in
    `temporary`, TMPDIR by default.

    Sweeps first what was left there. OSError, with the place, where none can be made or there is
    less room than `ROOM_BYTES`: programs that run in it do not say why they fail.
    """
    place = beside or temporary or Path(tempfile.gettempdir())
    sweep_scratch(place)
    prefix = BESIDE if beside else f"{TEMPORARY}{kind}-" if kind else TEMPORARY
    if not beside:
        _check_room(place)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    try:
        with _owned(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check_room(place: Path) -> None:
    room = os.statvfs(place)
    if room.f_blocks and room.f_bavail * room.f_frsize < ROOM_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))


def sweep_scratch(place: Path) -> list[Path]:
    """Remove the folders in `place` whose owners are gone; which. Never fails."""
    try:
        names = [name for name in os.listdir(place) if name.startswith((TEMPORARY, BESIDE))]
    except OSError:
        return []
    return [place / name for name in names if _sweep(place / name)]


def _sweep(folder: Path) -> bool:
    with contextlib.suppress(*UNREADABLE):
        if folder.lstat().st_uid != os.geteuid():
            return False
        owner = os.open(folder / OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(owner, "r+") as mark:
            if not _is_here(json.load(mark)):
                return False
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
            return True
    return False


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Hold a folder. Its mark is locked before it has its name: nobody sees it free."""
    fresh = folder / f"{OWNER}.new"
    mark = {"pid": os.getpid(), "host": platform.node(), "machine": _read(MACHINE)}
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w") as owner:
        with contextlib.suppress(OSError):  # no locks here: then nobody can sweep it either
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        json.dump({**mark, "boot": _read(BOOT)}, owner)
        owner.flush()
        fresh.rename(folder / OWNER)
        yield


def _is_here(mark: dict[str, object]) -> bool:
    """Whether a lock that is free here is free everywhere: its owner ran under this kernel, or on
    this machine before it was started anew. Locks of other machines may not be seen here."""
    if boot := _read(BOOT):
        if mark["boot"] == boot:
            return True
        machine = _read(MACHINE)
        return bool(machine) and (mark["machine"], mark["host"]) == (machine, platform.node())
    return mark["host"] == platform.node()


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
