"""Files that others name: read only where they are plain ones, that end.

A device or a pipe behind a name never ends, or never begins. What is refused is an OSError, as
what the system itself refuses.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

NAME_BYTES, PATH_BYTES = 255, 4095
"""What file systems hold: a name, and a whole path."""


def fault_of_path(path: str) -> str:
    """Why no file system can hold a path; empty where one could."""
    try:
        parts = path.encode().split(b"/")
    except UnicodeEncodeError:
        return "is not UTF-8 text"
    if "\0" in path:
        return "holds a zero byte"
    if max(map(len, parts)) > NAME_BYTES or len(path.encode()) > PATH_BYTES:
        return f"is longer than a file's name may be ({NAME_BYTES} bytes, {PATH_BYTES} in all)"
    return ""


def special_kind(path: str | Path) -> str:
    """What a path is that is neither a file nor a folder, links followed: "a pipe", "a socket", "a
    device". Empty for those, and where nothing is there or can be seen."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return ""
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return ""
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def open_plain(path: str | Path) -> BinaryIO:
    """Open a file to be read. OSError where it cannot be, or is a device, a pipe or a socket."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "a device, pipe or socket, not a file", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_plain(path: str | Path, *, most_bytes: int) -> bytes:
    """What a file holds. OSError as `open_plain`, or where it holds more than `most_bytes`."""
    with open_plain(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"larger than {most_bytes >> 10} KiB", str(path))
    return data
