"""What goes to an S3 service: large files in parts, and what its answers tell of what arrived.

Parts go several at once, each is tried on its own; uploads that nobody finished are found, since a
service keeps (and bills) their parts for ever. With most services an ETag is the MD5 of an object's
or of a part's bytes: it shows that bytes changed on their way there (those on their way back are
held against the digest), and what became of objects that others put. Services that encrypt with
keys of one's own have other ETags, and so may some compatible ones: those are learnt about, once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError

from cluster.errors import StoreError
from cluster.store.base import StoredObject
from cluster.store.local_files import Readable, open_source
from cluster.store.s3_errors import code_of

MOST_PARTS = 10_000
"""S3's bound; its smallest part, but for the last, is 5 MiB."""
PARTS_AT_ONCE = 4
"""Each is held in memory while it is sent."""

LEFTOVERS = ".uploads/"
"""A leftover is named `.uploads/OBJECT/UPLOAD`, which no object can be."""
PLAIN_ETAG = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsUpload:
    """An upload of one file.

    `tried` makes a request and repeats what may pass; `sent` says of a part's answer whether the
    service got those bytes (and raises what may pass if not); `arrived` whether the object is
    there, for an end whose answer was lost.
    """

    client: Any
    place: dict[str, str]
    tried: Callable[[Callable[[], Any]], Any]
    sent: Callable[[bytes, dict[str, Any]], None]
    arrived: Callable[[], bool]

    def put(self, path: Path, *, metadata: dict[str, str], part_bytes: int) -> None:
        """Send a file; StoreError, and no object and no parts stay, if that cannot be."""
        size = path.stat().st_size
        part_bytes = max(part_bytes, -(-size // MOST_PARTS))
        begun = self.tried(
            lambda: self.client.create_multipart_upload(**self.place, Metadata=metadata)
        )
        upload = str(begun["UploadId"])

        def send(number: int) -> dict[str, Any]:
            with open_source(path) as file:
                file.seek((number - 1) * part_bytes)
                data = file.read(part_bytes)
            return {
                "PartNumber": number,
                "ETag": self.tried(lambda: self._part(upload, number, data)),
            }

        try:
            with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
                parts = list(pool.map(send, range(1, -(-size // part_bytes) + 1)))
            self.tried(lambda: self._end(upload, parts))
        except BaseException:
            # What cannot be aborted either is one of the leftovers that gc finds.
            with suppress(StoreError):
                self.tried(
                    lambda: self.client.abort_multipart_upload(**self.place, UploadId=upload)
                )
            raise

    def _part(self, upload: str, number: int, data: bytes) -> str:
        answer = self.client.upload_part(
            **self.place, UploadId=upload, PartNumber=number, Body=data
        )
        self.sent(data, answer)
        return str(answer["ETag"])

    def _end(self, upload: str, parts: list[dict[str, Any]]) -> None:
        try:
            self.client.complete_multipart_upload(
                **self.place, UploadId=upload, MultipartUpload={"Parts": parts}
            )
        except ClientError as error:
            if code_of(error) != "NoSuchUpload" or not self.arrived():
                raise


def list_uploads(client: Any, bucket: str, root: str) -> Iterator[StoredObject]:
    """Unfinished uploads under the prefix `root`; `modified` is when the last part came."""
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=root)
    for page in pages:
        for upload in page.get("Uploads", ()):
            parts = client.get_paginator("list_parts").paginate(
                Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
            )
            try:
                sent = [part for page in parts for part in page.get("Parts", ())]
            except ClientError as error:
                if not _has_ended(error):
                    raise
                continue
            name = upload["Key"][len(root) :]
            yield StoredObject(
                name=f"{LEFTOVERS}{name}/{quote(upload['UploadId'], safe='')}",
                size_bytes=sum(part["Size"] for part in sent),
                modified=max([upload["Initiated"], *(part["LastModified"] for part in sent)]),
            )


def drop_upload(client: Any, bucket: str, root: str, leftover: str) -> None:
    """Abort an upload that `list_uploads` named; harmless when it ended since."""
    name, _, upload = leftover.removeprefix(LEFTOVERS).rpartition("/")
    try:
        client.abort_multipart_upload(Bucket=bucket, Key=root + name, UploadId=unquote(upload))
    except ClientError as error:
        if not _has_ended(error):
            raise


def _has_ended(error: ClientError) -> bool:
    return bool(error.response.get("Error", {}).get("Code") == "NoSuchUpload")


def md5_of(data: bytes) -> str:
    """MD5 in hex digits; of no worth against intent."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Etags:
    """What is known of a service's ETags. Used by many threads at once."""

    def __init__(self) -> None:
        self._are_md5: bool | None = None

    @property
    def proven(self) -> bool:
        """Whether one was the MD5 of what was sent."""
        return self._are_md5 is True

    def refute(self, md5: str, answer: dict[str, Any]) -> bool:
        """Whether an answer's ETag says that the service has other bytes."""
        etag = str(answer.get("ETag", "")).strip('"').lower()
        plainly = answer.get("ServerSideEncryption", "AES256") == "AES256"
        if not PLAIN_ETAG.fullmatch(etag) or not plainly or "SSECustomerAlgorithm" in answer:
            return False
        if etag == md5:
            self._are_md5 = True
        return etag != md5 and self._are_md5 is not False

    def dismiss(self) -> None:
        """Never ask again: the bytes were right and the ETag was another."""
        self._are_md5 = False


class Summed:
    """A stream that keeps the MD5 of what was read of it."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._sum = hashlib.md5(usedforsecurity=False)

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        data = self._stream.read(size)
        self._sum.update(data)
        return data

    @property
    def md5(self) -> str:
        """In hex digits."""
        return self._sum.hexdigest()
