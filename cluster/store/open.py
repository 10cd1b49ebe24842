"""Opens the store that a URL or a path names."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cluster.errors import UsageError, shortly
from cluster.files import fault_of_path
from cluster.store.base import Store
from cluster.store.folder import FolderStore


def open_store(url: str) -> Store:
    """The store at `file:///path`, a bare path, or `s3://bucket/prefix`. UsageError otherwise.

    Touches neither disk nor network: `probe` does.
    """
    try:
        scheme = urlsplit(url).scheme if "://" in url else "file"
    except ValueError as error:
        raise UsageError(
            f"store: {shortly(url)} is not an address ({error})",
            remedy="correct --store or DOUGA_STORE",
        ) from error
    if scheme == "s3":
        from cluster.store.s3 import S3Store  # boto3 takes half a second to import

        return S3Store(url)
    if scheme == "file" and url:
        return FolderStore(_folder_of(url))
    raise UsageError(
        f"store: expected file:///path, a path or s3://bucket/prefix, got {scheme or 'nothing'}://",
        remedy="correct --store or DOUGA_STORE",
    )


def _folder_of(url: str) -> Path:
    if fault := fault_of_path(unquote(url)):
        raise UsageError(f"store: {shortly(url)} {fault}", remedy="correct --store or DOUGA_STORE")
    if "://" not in url:
        return Path(os.path.expanduser(url)).absolute()  # Path's own raises where there is no home
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise UsageError(
            f"store: expected file:///absolute/path, got {url!r}",
            remedy="use three slashes: file:///path",
        )
    return Path(unquote(parts.path))
