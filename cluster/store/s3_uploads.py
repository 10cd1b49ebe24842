"""Uploads large files to an S3 service in parts, and checks uploads by their ETags.

Several parts go at once, each with its own retries. Unfinished uploads can be listed, since a
service keeps (and bills) their parts for ever. With most services an ETag is the MD5 of an object's
or a part's bytes, so it shows bytes that changed in transit (on the way back the digest does).
Services that encrypt with customer keys have other ETags, and so may some compatible ones: `Etags`
learns that once.
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
from cluster.store.s3_errors import check_answer, code_of

MOST_PARTS = 10_000
"""S3's bound; its smallest part, but for the last, is 5 MiB."""
PARTS_AT_ONCE = 4
"""Each is in memory while it is sent."""

LEFTOVERS = ".uploads/"
"""A leftover is named `.uploads/OBJECT/UPLOAD`, which no object can be."""
PLAIN_ETAG = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsUpload:
    """An upload of one file.

    `request` makes a request with retries; `check_part` raises a retryable error if a part's answer
    shows other bytes; `is_stored` says whether the object is there, if the last answer was lost.
    """

    client: Any
    place: dict[str, str]
    request: Callable[[Callable[[], Any]], Any]
    check_part: Callable[[bytes, dict[str, Any]], None]
    is_stored: Callable[[], bool]

    def put(
        self,
        path: Path,
        *,
        metadata: dict[str, str],
        part_bytes: int,
        if_absent: bool,
        told: Callable[[float], None] | None = None,
    ) -> None:
        """Send a file; on an error, leave neither object nor parts. With `if_absent`, AlreadyThere
        where another object was there first, as far as the service takes the condition.

        With `told`, which hears how much is there (0 to 1), parts stay on an error, and are taken
        up by the next who sends the same name: as far as their ETags are those of the file's.
        """
        size = path.stat().st_size
        part_bytes = max(part_bytes, -(-size // MOST_PARTS))
        count = -(-size // part_bytes)
        upload, kept = self._unfinished() if told else ("", {})
        if not upload:
            begun = self.request(
                lambda: self.client.create_multipart_upload(**self.place, Metadata=metadata)
            )
            upload = str(check_answer(begun, "UploadId", where=path.name)["UploadId"])

        def send(number: int) -> dict[str, Any]:
            with open_source(path) as file:
                file.seek((number - 1) * part_bytes)
                data = file.read(part_bytes)
            etag = kept.get(number, "")
            if etag.strip('"').lower() != md5_of(data):
                etag = self.request(lambda: self._part(upload, number, data))
            return {"PartNumber": number, "ETag": etag}

        try:
            parts: list[dict[str, Any]] = []
            with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
                for part in pool.map(send, range(1, count + 1)):
                    parts.append(part)
                    if told:
                        told(len(parts) / count)
            self.request(lambda: self._end(upload, parts, if_absent=if_absent))
        except BaseException:
            # If this fails too, gc finds the upload among the leftovers.
            with suppress(StoreError):
                if not told:
                    self.request(
                        lambda: self.client.abort_multipart_upload(**self.place, UploadId=upload)
                    )
            raise

    def _unfinished(self) -> tuple[str, dict[int, str]]:
        """The latest upload under this name that has not ended, with the ETags of its parts by
        their numbers; none where there is none, or this key may not look."""

        def look() -> tuple[str, dict[int, str]]:
            bucket, key = self.place["Bucket"], self.place["Key"]
            pages = self.client.get_paginator("list_multipart_uploads")
            found = [
                upload
                for page in pages.paginate(Bucket=bucket, Prefix=key)
                for upload in page.get("Uploads", ())
                if upload["Key"] == key
            ]
            if not found:
                return "", {}
            latest = str(max(found, key=lambda upload: upload["Initiated"])["UploadId"])
            parts = self.client.get_paginator("list_parts").paginate(**self.place, UploadId=latest)
            return latest, {
                int(part["PartNumber"]): str(part["ETag"])
                for page in parts
                for part in page.get("Parts", ())
            }

        try:
            found: tuple[str, dict[int, str]] = self.request(look)
        except StoreError:  # the file is sent from its beginning
            return "", {}
        return found

    def _part(self, upload: str, number: int, data: bytes) -> str:
        answer = self.client.upload_part(
            **self.place, UploadId=upload, PartNumber=number, Body=data
        )
        self.check_part(data, answer)
        return str(check_answer(answer, "ETag", where=f"part {number}")["ETag"])

    def _end(self, upload: str, parts: list[dict[str, Any]], *, if_absent: bool) -> None:
        try:
            self.client.complete_multipart_upload(
                **self.place,
                **({"IfNoneMatch": "*"} if if_absent else {}),
                UploadId=upload,
                MultipartUpload={"Parts": parts},
            )
        except ClientError as error:
            code = code_of(error)
            if code == "NotImplemented" and if_absent:
                return self._end(upload, parts, if_absent=False)
            if code != "NoSuchUpload" or not self.is_stored():
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
    """MD5 in hex digits; no protection against intent."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Etags:
    """Knows whether a service's ETags are MD5s. Many threads use it at once."""

    def __init__(self) -> None:
        self._are_md5: bool | None = None

    @property
    def proven(self) -> bool:
        """Whether an ETag was the MD5 of the bytes sent."""
        return self._are_md5 is True

    def contradicts(self, md5: str, answer: dict[str, Any]) -> bool:
        """Whether an answer's ETag shows that the service has other bytes."""
        etag = str(answer.get("ETag", "")).strip('"').lower()
        plainly = answer.get("ServerSideEncryption", "AES256") == "AES256"
        if not PLAIN_ETAG.fullmatch(etag) or not plainly or "SSECustomerAlgorithm" in answer:
            return False
        if etag == md5:
            self._are_md5 = True
        return etag != md5 and self._are_md5 is not False

    def distrust(self) -> None:
        """Ignore ETags from now on: the bytes were right and the ETag was no MD5."""
        self._are_md5 = False


class Md5Reader:
    """A stream that computes the MD5 of the bytes read."""

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
