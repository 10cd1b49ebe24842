"""Only plain files are read where others name them; nothing that never ends, or never begins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cluster.files import open_plain, read_plain
from cluster.keys import digest_bytes, digest_file


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    (tmp_path / "link").symlink_to(file)
    assert read_plain(tmp_path / "link", most_bytes=5) == b"12345"
    assert digest_file(file) == digest_bytes(b"12345")
    with pytest.raises(OSError, match="larger than"):
        read_plain(file, most_bytes=4)


def test_devices_pipes_and_folders_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path, tmp_path / "none"):
        with pytest.raises(OSError):  # noqa: PT011
            open_plain(path)
        with pytest.raises(OSError):  # noqa: PT011
            digest_file(path)
