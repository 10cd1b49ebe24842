"""Fetches sources from `s3://` into a cache on this machine."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from cluster.cache import read_cached, write_cached
from cluster.errors import InputError, StoreError
from cluster.keys import canonical, make_key
from cluster.secrets import has_password, without_password
from cluster.settings import Settings, settings
from cluster.store.base import NotStored, StoredObject
from tasks.decode.digest import identify

if TYPE_CHECKING:
    from cluster.store.s3 import S3Store


def local_source(path_or_url: str, *, cache: Path, using: Settings | None = None) -> Path:
    """A path to a source on this machine: itself, or a copy of an `s3://` object in `cache`.

    An object is fetched once for each of its contents (told by ETag), whole or not at all, and
    again where somebody wrote to the copy;
    `s3://bucket/folder/` with a slash at the end is a folder of frames. Endpoint and keys are the
    store's. InputError: nothing there, or another scheme; StoreError: the service refuses.
    """
    if "://" not in path_or_url:
        return Path(path_or_url)
    parts = urlsplit(path_or_url)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if has_password(path_or_url):
        raise InputError(
            "has a user or a password in it",
            where=without_password(path_or_url),
            remedy="give the keys as DOUGA_S3_ACCESS_KEY and DOUGA_S3_SECRET_KEY",
        )
    key = path_or_url.split("://", 1)[1].partition("/")[2]
    if parts.scheme != "s3" or not parts.netloc or not key:
        raise InputError(
            "expected a path, s3://bucket/film.mkv or s3://bucket/frames/",
            where=path_or_url,
            remedy="download the source first",
        )
    try:
        return _fetch(path_or_url, parts.netloc, key, cache / "sources", using or settings())
    except NotStored as error:
        raise InputError(
            "no such object", where=path_or_url, remedy="check bucket and key"
        ) from error
    except StoreError as error:
        if not isinstance(error.__cause__, OSError):
            raise StoreError(
                error.what, where=path_or_url, remedy=error.remedy, retryable=error.retryable
            ) from error
        raise InputError(
            f"cannot be kept in the cache: {error.__cause__.strerror}",
            where=path_or_url,
            remedy="free some space, or set DOUGA_HOME to a folder that can be written",
        ) from error


def _fetch(url: str, bucket: str, key: str, cache: Path, using: Settings) -> Path:
    from cluster.store.s3 import S3Store  # boto3 takes long to import and is needed here alone

    store = S3Store(f"s3://{bucket}", using=using)
    if not key.endswith("/"):
        found = store.look_at(key)
        folder = cache / make_key([using.s3_endpoint, _identity(bucket, found)])
        return _copy(store, found, folder)
    below = ((each, each.name.removeprefix(key)) for each in store.list(key))
    frames = [each for each, name in below if name and "/" not in name]
    if not frames:
        raise InputError(
            "no objects under this prefix", where=url, remedy="check bucket and prefix"
        )
    about = [_identity(bucket, each) for each in frames]
    folder = cache / make_key([using.s3_endpoint, about])
    for each in frames:
        _copy(store, each, folder)
    return folder


def _copy(store: S3Store, found: StoredObject, folder: Path) -> Path:
    path = folder / PurePosixPath(found.name).name
    note = folder.with_suffix(".notes") / path.name
    if not _is_as_fetched(path, note):
        store.get_file(found.name, path, foreign=True, etag=found.etag)
        write_cached(note, canonical(identify(path)))
    return path


def _is_as_fetched(path: Path, note: Path) -> bool:
    """Whether a copy is the file that was fetched: nobody has written to it since."""
    try:
        return read_cached(note, str) == canonical(identify(path))
    except OSError:
        return False


def _identity(bucket: str, found: StoredObject) -> dict[str, object]:
    """What names a copy: the object, and its ETag, which changes with its content."""
    return {
        "bucket": bucket,
        "key": found.name,
        "etag": found.etag,
        "size_bytes": found.size_bytes,
    }
