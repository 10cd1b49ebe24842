"""What the ETags of an S3 service tell: with most, the MD5 of an object's or of a part's bytes.

They show that bytes changed on their way to the service (those on their way back are held against
the digest), and what became of objects that others put. Services that encrypt with keys of one's
own have other ETags, and so may some compatible ones: those are learnt about, once.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from cluster.store_files import Readable

PLAIN = re.compile("[0-9a-f]{32}")


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
        if not PLAIN.fullmatch(etag) or not plainly or "SSECustomerAlgorithm" in answer:
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
