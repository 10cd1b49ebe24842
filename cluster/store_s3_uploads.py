"""Uploads in parts that nobody finished: an S3 service keeps (and bills) their parts for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError

from cluster.store import StoredObject

HEAD = ".uploads/"
"""A leftover is named `.uploads/OBJECT/UPLOAD`, which no object can be."""


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
                name=f"{HEAD}{name}/{quote(upload['UploadId'], safe='')}",
                size_bytes=sum(part["Size"] for part in sent),
                modified=max([upload["Initiated"], *(part["LastModified"] for part in sent)]),
            )


def drop_upload(client: Any, bucket: str, root: str, leftover: str) -> None:
    """Abort an upload that `list_uploads` named; harmless when it ended since."""
    name, _, upload = leftover.removeprefix(HEAD).rpartition("/")
    try:
        client.abort_multipart_upload(Bucket=bucket, Key=root + name, UploadId=unquote(upload))
    except ClientError as error:
        if not _has_ended(error):
            raise


def _has_ended(error: ClientError) -> bool:
    return bool(error.response.get("Error", {}).get("Code") == "NoSuchUpload")
