"""A store in a bucket of any S3-compatible service, by boto3.

Retries requests that fail in transit (settings.s3_attempts, see `s3_retries`), gets whose body
breaks off or differs from its digest, and puts for which the service reports other bytes. A put
whose answer was lost counts as failed only if the object is not there. Every object carries its
digest in its metadata. Checksum headers beyond the signature are sent only where the service
demands them: many compatible services refuse them.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from cluster.errors import DigestError, StoreError, UsageError
from cluster.keys import Digest, digest_bytes, digest_file
from cluster.settings import Settings, settings
from cluster.store.base import (
    PROBE_BYTES,
    NoDigest,
    NotStored,
    StoredObject,
    check_name,
    cut_short,
    damaged,
    not_stored,
)
from cluster.store.local_files import copy_stream, explain_os, new_file, open_source
from cluster.store.s3_client import CONNECTIONS, make_client
from cluster.store.s3_errors import (
    MUTE,
    AlreadyThere,
    check_answer,
    code_of,
    corrupted_in_transit,
    explain,
)
from cluster.store.s3_retries import Retries, is_passing
from cluster.store.s3_uploads import (
    Etags,
    Md5Reader,
    PartsUpload,
    drop_upload,
    list_uploads,
    md5_of,
)

DIGEST_FIELD = "digest"
PART_BYTES = 16 << 20
"""Larger files are sent in parts of this size."""
PAGE_NAMES = 1000
"""Names asked for at once; no service gives more."""
PROBE_ATTEMPTS = 4
PROBE_TIMEOUT_S = 5.0
"""Short, so that an endpoint that never answers is reported soon."""

T = TypeVar("T")


class S3Store:
    """See `cluster.store.base.Store`. Opens its connection at the first use."""

    def __init__(
        self,
        url: str,
        *,
        using: Settings | None = None,
        retries: Retries | None = None,
        part_bytes: int = PART_BYTES,
        page_names: int = PAGE_NAMES,
    ) -> None:
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
        self._retries = retries or Retries(self._settings.s3_attempts)
        self._etags = Etags()
        self._part_bytes, self._page_names = part_bytes, page_names

    def __reduce__(self) -> tuple[type[S3Store], tuple[str]]:
        return (S3Store, (self.url,))

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def retries(self) -> int:
        """Number of retries of this store so far, in this process."""
        return self._retries.count

    def put(self, name: str, data: bytes | memoryview, *, if_absent: bool = False) -> Digest:
        digest = digest_bytes(data)
        if if_absent and (kept := self._digest_of(name)):
            return kept
        return self._put(name, digest, bytes(data), if_absent=if_absent)

    def put_file(
        self,
        name: str,
        path: Path,
        *,
        if_absent: bool = False,
        told: Callable[[float], None] | None = None,
    ) -> Digest:
        open_source(path).close()
        digest = digest_file(path)
        if if_absent and (kept := self._digest_of(name)):
            return kept
        if path.stat().st_size <= self._part_bytes:
            with open_source(path) as file:
                return self._put(name, digest, file.read(), if_absent=if_absent)
        # The check above helps where a service takes no condition for joining parts.
        doing = f"put {name}"
        upload = PartsUpload(
            client=self.client,
            place={"Bucket": self.bucket, "Key": self._key(name)},
            request=lambda call: self._request(doing, call),
            check_part=lambda data, answer: self._check_part(name, data, answer),
            is_stored=lambda: self._is_stored(name, digest),
        )
        try:
            upload.put(
                path,
                metadata={DIGEST_FIELD: digest},
                part_bytes=self._part_bytes,
                if_absent=if_absent,
                told=told,
            )
        except AlreadyThere:
            kept = self._digest_of(name)
            if kept is None:
                raise
            return kept
        except StoreError as error:
            if not (error.retryable and self._is_stored(name, digest)):
                raise
        return digest

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

    def get_file(self, name: str, path: Path, *, foreign: bool = False, etag: str = "") -> None:
        """As in the protocol. A foreign object may have any key; with `etag`, StoreError if the
        object has changed since."""

        def read(answer: dict[str, Any]) -> None:
            body = Md5Reader(answer["Body"])
            with new_file(path) as file:
                digest = copy_stream(body, file)
                if not foreign or DIGEST_FIELD in answer["Metadata"]:
                    self._check(name, answer, digest)
                elif self._etags.contradicts(body.md5, answer):
                    raise corrupted_in_transit(self.url, name)

        try:
            self._fetch(name, read, foreign=foreign, **({"IfMatch": etag} if etag else {}))
        except AlreadyThere as error:
            raise StoreError(
                "changed since it was listed",
                where=f"{self.url}: get {name}",
                remedy="run again when it is written",
            ) from error
        except OSError as error:
            raise explain_os(error, where=f"{self.url}: get {name} to {path}") from error

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
        for page in self._pages("list", prefix):
            for item in page.get("Contents", ()):
                yield StoredObject(
                    name=item["Key"][len(self._root) :],
                    size_bytes=item["Size"],
                    modified=item["LastModified"],
                    etag=item["ETag"],
                )

    def look_at(self, name: str) -> StoredObject:
        """A foreign object as a line of a listing. NotStored if it is not there."""
        head = self._head(name, foreign=True)
        if head is None:
            raise not_stored(self.url, name)
        return StoredObject(
            name=name,
            size_bytes=head["ContentLength"],
            modified=head["LastModified"],
            etag=head["ETag"],
        )

    def delete(self, name: str) -> None:
        place = {"Bucket": self.bucket, "Key": self._key(name)}
        self._request(f"delete {name}", lambda: self.client.delete_object(**place))

    def leftovers(self) -> Iterator[StoredObject]:
        yield from self._request(
            "list uploads", lambda: list(list_uploads(self.client, self.bucket, self._root))
        )

    def drop_leftover(self, name: str) -> None:
        self._request(
            f"delete {name}", lambda: drop_upload(self.client, self.bucket, self._root, name)
        )

    def has_digest(self, name: str) -> bool:
        digest = self._digest_of(name)
        if digest is None:
            raise not_stored(self.url, name)
        return digest != ""

    def adopt(self, name: str) -> Digest:
        data = self._fetch(name, lambda answer: bytes(answer["Body"].read()))
        return self.put(name, data)

    def now(self) -> datetime:
        """By the date of the service's own answer; by this machine's clock where it gives none."""
        page = next(self._pages("look at the time", "", most=1))
        said = page["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            return parsedate_to_datetime(said).astimezone(UTC)
        except ValueError:
            return datetime.now(UTC)

    def probe(self) -> None:
        hasty = self._settings.model_copy(
            update={
                "s3_attempts": min(PROBE_ATTEMPTS, self._settings.s3_attempts),
                "s3_timeout_s": min(PROBE_TIMEOUT_S, self._settings.s3_timeout_s),
            }
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

    def _key(self, name: str, *, foreign: bool = False) -> str:
        return self._root + (name if foreign else check_name(name))

    @cached_property
    def client(self) -> Any:
        """The boto3 client, made at the first use."""
        try:
            return make_client(self._settings)
        except ValueError as error:
            raise UsageError(
                "expected http://host:port or https://host as the S3 endpoint",
                where=self.url,
                remedy="correct DOUGA_S3_ENDPOINT (or AWS_ENDPOINT_URL)",
            ) from error

    def _put(self, name: str, digest: Digest, data: bytes, *, if_absent: bool) -> Digest:
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        wrong = False

        def send() -> None:
            nonlocal wrong
            answer = self.client.put_object(
                Bucket=self.bucket,
                Key=self._key(name),
                Body=data,
                Metadata={DIGEST_FIELD: digest},
                **({} if wrong else condition),
            )
            wrong = not self._is_received(data, digest, answer, name)
            if wrong:
                raise corrupted_in_transit(self.url, name)

        try:
            self._request(f"put {name}", send)
        except AlreadyThere:
            kept = self._digest_of(name)
            if kept is None:
                raise
            return kept
        except StoreError as error:
            if error.retryable and self._reads_back_as(name, digest):
                return digest  # only the answers were lost
            if wrong:
                with suppress(StoreError):
                    self.delete(name)
            raise
        return digest

    def _reads_back_as(self, name: str, digest: Digest) -> bool:
        try:
            return digest_bytes(self.get(name)) == digest
        except StoreError:
            return False

    def _is_stored(self, name: str, digest: Digest) -> bool:
        """Like `_reads_back_as`, for an object too large to read back; its parts were checked."""
        try:
            return self._digest_of(name) == digest
        except StoreError:
            return False

    def _is_received(self, data: bytes, digest: Digest, answer: dict[str, Any], name: str) -> bool:
        """Whether the service received these bytes, as far as its answer says."""
        if not self._etags.contradicts(md5_of(data), answer):
            return True
        if self._etags.proven or digest_bytes(self._read(name)) != digest:
            return False
        self._etags.distrust()
        return True

    def _check_part(self, name: str, data: bytes, answer: dict[str, Any]) -> None:
        if self._etags.contradicts(md5_of(data), answer) and self._etags.proven:
            raise corrupted_in_transit(self.url, name)

    def _digest_of(self, name: str) -> Digest | None:
        head = self._head(name)
        return None if head is None else Digest(head["Metadata"].get(DIGEST_FIELD, ""))

    def _listed(self, names: Sequence[str]) -> set[str]:
        """Which of some names (ascending, of one folder) are stored.

        One page of a listing answers for up to 1000 names. Reads at most as many pages as there are
        names; each name beyond them takes a request.
        """
        folder = names[0].rpartition("/")[0]
        head, wanted, reached = f"{folder}/" if folder else "", set(names), ""
        found: set[str] = set()
        if len(names) > 1:
            for page in itertools.islice(self._pages("look", head), len(names)):
                keys = [item["Key"][len(self._root) :] for item in page.get("Contents", ())]
                found.update(wanted.intersection(keys))
                if not page["IsTruncated"] or keys[-1] >= names[-1]:
                    return found
                reached = keys[-1]
        return found.union(n for n in names if n > reached and self._head(n) is not None)

    def _pages(self, doing: str, prefix: str, *, most: int = 0) -> Iterator[dict[str, Any]]:
        """Pages of a listing, of `most` names each, by default as many as there may be."""
        names = most or self._page_names
        place = {"Bucket": self.bucket, "Prefix": self._root + prefix, "MaxKeys": names}
        while True:
            page = self._request(doing, lambda: self.client.list_objects_v2(**place))  # noqa: B023
            yield check_answer(page, "IsTruncated", where=f"{self.url}: {doing}")
            if not page["IsTruncated"]:
                return
            place = {**place, "ContinuationToken": page["NextContinuationToken"]}

    def _head(self, name: str, *, foreign: bool = False) -> dict[str, Any] | None:
        place = {"Bucket": self.bucket, "Key": self._key(name, foreign=foreign)}
        doing = f"look at {name}"
        try:
            head: dict[str, Any] = self._request(doing, lambda: self.client.head_object(**place))
        except NotStored:
            return None
        except StoreError as error:
            if code_of(error.__cause__) in MUTE:
                # The answer to HEAD has no body, so it gives no reason. The answer to GET does:
                self._request(doing, lambda: self.client.get_object(**place)["Body"].close())
            raise
        return check_answer(
            head, "ContentLength", "ETag", "LastModified", where=f"{self.url}: {doing}"
        )

    def _read(self, name: str) -> bytes:
        answer = self.client.get_object(Bucket=self.bucket, Key=self._key(name))
        data: bytes = answer["Body"].read()
        return data

    def _check(self, name: str, answer: dict[str, Any], digest: Digest) -> None:
        expected = answer["Metadata"].get(DIGEST_FIELD, "")
        if digest != expected:
            raise damaged(self.url, name, expected=expected, got=digest)

    def _fetch(
        self,
        name: str,
        read: Callable[[dict[str, Any]], T],
        *,
        foreign: bool = False,
        **extra: str,
    ) -> T:
        """Get an object and `read` its answer, again while its body is broken."""
        key = self._key(name, foreign=foreign)

        def fetch() -> T:
            answer = self.client.get_object(Bucket=self.bucket, Key=key, **extra)
            return read(check_answer(answer, "ETag", where=f"{self.url}: get {name}"))

        def is_broken(error: StoreError) -> bool:
            if isinstance(error, NoDigest):
                return False
            return is_passing(error) or (isinstance(error, DigestError) and "Range" not in extra)

        return self._request(f"get {name}", fetch, again=is_broken)

    def _request(
        self,
        doing: str,
        call: Callable[[], T],
        *,
        again: Callable[[StoreError], bool] = is_passing,
    ) -> T:
        """Call `call`, again while `again` says so of its errors."""

        def explained() -> T:
            try:
                return call()
            except (BotoCoreError, ClientError, ResponseParserError) as error:
                where = f"{self.url}: {doing}"
                raise explain(error, where=where, bucket=self.bucket) from error

        return self._retries.run(explained, again=again)
