"""Large files go to an S3 service in parts, several at once; each part is tried on its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from cluster.errors import StoreError
from cluster.store_files import open_source
from cluster.store_s3_errors import code_of

MOST_PARTS = 10_000
"""S3's bound; its smallest part, but for the last, is 5 MiB."""
PARTS_AT_ONCE = 4
"""Each is held in memory while it is sent."""

T = TypeVar("T")


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
