"""A store in a bucket of any S3-compatible service, by boto3.

botocore repeats requests that fail on the way (settings.s3_attempts, waiting longer each time,
with jitter). What it cannot know is done here: a body that breaks off or differs from its digest
is fetched again, and a put whose answer was lost is looked up before it counts as failed. Every
object carries its digest in its metadata. Checksum headers beyond the signature are sent only
where the service demands them: many compatible services refuse them.
"""

from __future__ import annotations

import itertools
import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from cluster.errors import DigestError, StoreError, UsageError
from cluster.keys import Digest, digest_bytes, digest_file
from cluster.settings import Settings, settings
from cluster.store import (
    PROBE_BYTES,
    NotStored,
    StoredObject,
    check_name,
    cut_short,
    damaged,
    not_stored,
)
from cluster.store_files import copy_stream, explain_os, new_file, open_source
from cluster.store_s3_client import CONNECTIONS, make_client
from cluster.store_s3_errors import AlreadyThere, explain
from cluster.store_s3_uploads import drop_upload, list_uploads

DIGEST_FIELD = "digest"
PART_BYTES = 64 << 20
"""Larger files are sent in parts; S3's smallest part is 5 MiB, its most parts 10,000."""
PAGE_NAMES = 1000
FIRST_WAIT_S = 0.2
PROBE_ATTEMPTS = 2

T = TypeVar("T")


class S3Store:
    """See `cluster.store.Store`. Opens its connection at the first use."""

    def __init__(self, url: str, *, using: Settings | None = None) -> None:
        parts = urlsplit(url)
        if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
            raise UsageError(
                "store: expected s3://bucket/prefix",
                remedy="name a bucket; keys belong in DOUGA_S3_ACCESS_KEY and DOUGA_S3_SECRET_KEY",
            )
        self.bucket = parts.netloc
        self.prefix = parts.path.strip("/")
        if self.prefix:
            check_name(self.prefix)
        self._settings = using or settings()

    def __reduce__(self) -> tuple[type[S3Store], tuple[str]]:
        return (S3Store, (self.url,))

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def put(self, name: str, data: bytes | memoryview, *, if_absent: bool = False) -> Digest:
        digest = digest_bytes(data)
        if if_absent and (kept := self._digest_of(name)):
            return kept
        condition = {"IfNoneMatch": "*"} if if_absent else {}

        def send() -> None:
            self._client.put_object(
                Bucket=self.bucket,
                Key=self._key(name),
                Body=bytes(data),
                Metadata={DIGEST_FIELD: digest},
                **condition,
            )

        return self._put(name, digest, send)

    def put_file(self, name: str, path: Path, *, if_absent: bool = False) -> Digest:
        open_source(path).close()
        digest = digest_file(path)
        if if_absent and (kept := self._digest_of(name)):
            return kept

        def send() -> None:
            if if_absent and path.stat().st_size < PART_BYTES:
                # upload_file takes no condition; parts that are joined late lose by the look above.
                with open_source(path) as file:
                    self._client.put_object(
                        Bucket=self.bucket,
                        Key=self._key(name),
                        Body=file,
                        Metadata={DIGEST_FIELD: digest},
                        IfNoneMatch="*",
                    )
                return
            self._client.upload_file(
                str(path),
                self.bucket,
                self._key(name),
                ExtraArgs={"Metadata": {DIGEST_FIELD: digest}},
                Config=TransferConfig(
                    multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES
                ),
            )

        return self._put(name, digest, send)

    def get(self, name: str) -> bytes:
        def read(answer: dict[str, Any]) -> bytes:
            data: bytes = answer["Body"].read()
            self._check(name, answer, digest_bytes(data))
            return data

        return self._fetch(name, read)

    def get_range(self, name: str, *, start: int, length: int) -> bytes:
        def read(answer: dict[str, Any]) -> bytes:
            data: bytes = answer["Body"].read()
            if len(data) != length:
                raise cut_short(self.url, name, start=start, length=length, got=len(data))
            return data

        if length == 0:
            return b""
        return self._fetch(name, read, Range=f"bytes={start}-{start + length - 1}")

    def get_file(self, name: str, path: Path, *, foreign: bool = False) -> None:
        def read(answer: dict[str, Any]) -> None:
            with new_file(path) as file:
                digest = copy_stream(answer["Body"], file)
                if not foreign or DIGEST_FIELD in answer["Metadata"]:
                    self._check(name, answer, digest)

        try:
            self._fetch(name, read)
        except OSError as error:
            raise explain_os(error, where=f"{self.url}: get {name}") from error

    def has(self, names: Iterable[str]) -> set[str]:
        folders: dict[str, list[str]] = {}
        for name in sorted(set(names)):
            folders.setdefault(check_name(name).rpartition("/")[0], []).append(name)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return set().union(*pool.map(self._listed, folders.values()))

    def size(self, name: str) -> int:
        head = self._head(name)
        if head is None:
            raise not_stored(self.url, name)
        return int(head["ContentLength"])

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        with self._refusals("list"):
            for page in self._pages(prefix):
                for item in page.get("Contents", ()):
                    yield StoredObject(
                        name=item["Key"][len(self._root) :],
                        size_bytes=item["Size"],
                        modified=item["LastModified"],
                    )

    def delete(self, name: str) -> None:
        with self._refusals(f"delete {name}"):
            self._client.delete_object(Bucket=self.bucket, Key=self._key(name))

    def leftovers(self) -> Iterator[StoredObject]:
        with self._refusals("list uploads"):
            yield from list_uploads(self._client, self.bucket, self._root)

    def drop_leftover(self, name: str) -> None:
        with self._refusals(f"delete {name}"):
            drop_upload(self._client, self.bucket, self._root, name)

    def probe(self) -> None:
        hasty = self._settings.model_copy(
            update={"s3_attempts": min(PROBE_ATTEMPTS, self._settings.s3_attempts)}
        )
        store, name = S3Store(self.url, using=hasty), f"probe/{secrets.token_hex(8)}"
        store.put(name, PROBE_BYTES)
        try:
            store.get(name)
        finally:
            store.delete(name)

    # -- requests ------------------------------------------------------------------------

    @property
    def _root(self) -> str:
        return f"{self.prefix}/" if self.prefix else ""

    def _key(self, name: str) -> str:
        return self._root + check_name(name)

    @cached_property
    def _client(self) -> Any:
        try:
            return make_client(self._settings)
        except ValueError as error:
            raise UsageError(
                "expected http://host:port or https://host as the S3 endpoint",
                where=self.url,
                remedy="correct DOUGA_S3_ENDPOINT (or AWS_ENDPOINT_URL)",
            ) from error

    def _put(self, name: str, digest: Digest, send: Callable[[], None]) -> Digest:
        try:
            with self._refusals(f"put {name}"):
                send()
        except AlreadyThere:
            kept = self._digest_of(name)
            if kept is None:
                raise
            return kept
        except StoreError as error:
            if not (error.retryable and self._arrived(name, digest)):
                raise
        return digest

    def _arrived(self, name: str, digest: Digest) -> bool:
        """Whether a put whose answer was lost was done all the same."""
        try:
            return self._digest_of(name) == digest
        except StoreError:
            return False

    def _digest_of(self, name: str) -> Digest | None:
        head = self._head(name)
        return None if head is None else Digest(head["Metadata"].get(DIGEST_FIELD, ""))

    def _listed(self, names: Sequence[str]) -> set[str]:
        """Which of some names (ascending, of one folder) are stored.

        One page of a listing answers for up to 1000 names. Never more pages than names are read:
        what they do not reach is asked for one by one.
        """
        folder = names[0].rpartition("/")[0]
        head, wanted, reached = f"{folder}/" if folder else "", set(names), ""
        found: set[str] = set()
        if len(names) > 1:
            with self._refusals("look"):
                for page in itertools.islice(self._pages(head), len(names)):
                    keys = [item["Key"][len(self._root) :] for item in page.get("Contents", ())]
                    found.update(wanted.intersection(keys))
                    if not page["IsTruncated"] or keys[-1] >= names[-1]:
                        return found
                    reached = keys[-1]
        return found.union(n for n in names if n > reached and self._head(n) is not None)

    def _pages(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages: Iterator[dict[str, Any]] = iter(
            self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket,
                Prefix=self._root + prefix,
                PaginationConfig={"PageSize": PAGE_NAMES},
            )
        )
        return pages

    def _head(self, name: str) -> dict[str, Any] | None:
        try:
            with self._refusals(f"look at {name}"):
                head: dict[str, Any] = self._client.head_object(
                    Bucket=self.bucket, Key=self._key(name)
                )
        except NotStored:
            return None
        return head

    def _check(self, name: str, answer: dict[str, Any], digest: Digest) -> None:
        expected = answer["Metadata"].get(DIGEST_FIELD, "")
        if digest != expected:
            raise damaged(self.url, name, expected=expected, got=digest)

    def _fetch(self, name: str, read: Callable[[dict[str, Any]], T], **extra: str) -> T:
        """What `read` makes of the object's answer, asked for again while its body is broken."""
        attempts, doing = self._settings.s3_attempts, f"get {name}"
        attempt = 0
        while True:
            attempt += 1
            with self._refusals(doing):
                answer = self._client.get_object(Bucket=self.bucket, Key=self._key(name), **extra)
            try:
                with self._refusals(doing):
                    return read(answer)
            except StoreError as error:
                broken = error.retryable or (isinstance(error, DigestError) and not extra)
                if not broken or attempt >= attempts:
                    raise
            time.sleep(random.uniform(0, FIRST_WAIT_S * 2**attempt))

    @contextmanager
    def _refusals(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError, Boto3Error) as error:
            where = f"{self.url}: {doing}"
            raise explain(error, where=where, bucket=self.bucket) from error
