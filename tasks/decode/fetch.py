"""Sources that lie elsewhere, brought here once."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from cluster.errors import InputError, StoreError
from cluster.keys import make_key
from cluster.secrets import has_password, without_password
from cluster.settings import Settings, settings

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remote:
    """An object as the service described it; `etag` changes with its content."""

    bucket: str
    key: str
    etag: str
    size_bytes: int

    @property
    def name(self) -> str:
        return PurePosixPath(self.key).name


def local_source(path_or_url: str, *, cache: Path, using: Settings | None = None) -> Path:
    """A path to a source on this machine: itself, or a copy of an `s3://` object in `cache`.

    An object is fetched once for each of its contents (told by ETag), whole or not at all;
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
    return _Fetch(path_or_url, parts.netloc, key, using or settings()).into(cache / "sources")


class _Fetch:
    def __init__(self, url: str, bucket: str, key: str, using: Settings) -> None:
        self._url, self._bucket, self._key, self._using = url, bucket, key, using

    def into(self, folder: Path) -> Path:
        # boto3 takes long to import and is needed for s3:// alone.
        from cluster.store.s3_client import make_client

        with self._explained():
            client = make_client(self._using)
            if not self._key.endswith("/"):
                found = self._look(client)
                target = folder / make_key([self._using.s3_endpoint, found]) / found.name
                if not target.exists():
                    self._download(client, found, target)
                return target
            return self._frames(client, folder)

    def _frames(self, client: Any, folder: Path) -> Path:
        found = sorted(self._listed(client), key=lambda one: one.key)
        if not found:
            raise InputError(
                "no objects under this prefix", where=self._url, remedy="check bucket and prefix"
            )
        target = folder / make_key([self._using.s3_endpoint, found])
        for one in found:
            if not (target / one.name).exists():
                self._download(client, one, target / one.name)
        return target

    def _look(self, client: Any) -> _Remote:
        head = client.head_object(Bucket=self._bucket, Key=self._key)
        return _Remote(
            bucket=self._bucket,
            key=self._key,
            etag=head["ETag"],
            size_bytes=head["ContentLength"],
        )

    def _listed(self, client: Any) -> Iterator[_Remote]:
        """The objects right under the prefix, none deeper."""
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._key, Delimiter="/"
        )
        for page in pages:
            for item in page.get("Contents", ()):
                if item["Key"] != self._key:
                    yield _Remote(
                        bucket=self._bucket,
                        key=item["Key"],
                        etag=item["ETag"],
                        size_bytes=item["Size"],
                    )

    def _download(self, client: Any, one: _Remote, target: Path) -> None:
        """One object, by way of a name of our own, so that no other run sees half of it."""
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            for attempt in range(1, self._using.s3_attempts + 1):
                answer = client.get_object(Bucket=one.bucket, Key=one.key, IfMatch=one.etag)
                with partial.open("wb") as file:
                    shutil.copyfileobj(answer["Body"], file, _BLOCK_BYTES)
                if _is_whole(partial, one, answer):
                    break
                if attempt == self._using.s3_attempts:
                    raise StoreError(
                        f"came back damaged {attempt} times, expected {one.size_bytes} bytes "
                        f"of ETag {one.etag}, got {partial.stat().st_size}",
                        where=f"s3://{one.bucket}/{one.key}",
                        remedy="upload it again",
                    )
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        from cluster.store.base import NotStored
        from cluster.store.s3_errors import explain

        try:
            yield
        except (BotoCoreError, ClientError, Boto3Error) as error:
            told = explain(error, where=self._url, bucket=self._bucket)
            if isinstance(told, NotStored):
                raise InputError(
                    "no such object", where=self._url, remedy="check bucket and key"
                ) from error
            raise told from error
        except OSError as error:
            raise InputError(
                f"cannot be kept in the cache: {error.strerror}",
                where=self._url,
                remedy="free some space, or set DOUGA_HOME to a folder that can be written",
            ) from error


def _is_md5(answer: dict[str, Any]) -> bool:
    """Whether an object's ETag is its MD5: not in parts, and not under keys of the service."""
    etag = answer["ETag"].strip('"')
    keyed = answer.get("ServerSideEncryption", "AES256") != "AES256"
    return len(etag) == 32 and not keyed and "SSECustomerAlgorithm" not in answer


def _is_whole(file: Path, one: _Remote, answer: dict[str, Any]) -> bool:
    """Whether the bytes are the object's: its size, and its MD5 where the ETag is one."""
    if file.stat().st_size != one.size_bytes:
        return False
    if not _is_md5(answer):
        return True
    with file.open("rb") as data:
        return hashlib.file_digest(data, _md5).hexdigest() == one.etag.strip('"')


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)
