"""Walks an MP4's boxes: libav ends without an error at other bytes, even before fragments."""

from __future__ import annotations

from typing import BinaryIO


def strays_at(file: BinaryIO, *, size_bytes: int) -> int | None:
    """The byte from which on a file of this size is no row of boxes; None where all of it is.

    Reads box headers alone. Source: ISO/IEC 14496-12, 4.2.
    """
    at = 0
    while at < size_bytes:
        file.seek(at)
        header = file.read(16)
        size = int.from_bytes(header[:4], "big")
        if not header[4:8].isalnum() and not header[4:8].strip().isalnum():
            return at
        if size == 0:  # to the end of the file
            return None
        least = 8
        if size == 1:
            size, least = int.from_bytes(header[8:16], "big"), 16
        if size < least or at + size > size_bytes:
            return at
        at += size
    return None
