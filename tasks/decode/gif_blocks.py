"""Walks a GIF's blocks: libav skips unknown ones and ends early without an error."""

from __future__ import annotations

from typing import BinaryIO

_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B


def walk_gif(file: BinaryIO) -> tuple[int, str]:
    """How many whole pictures a GIF holds, and what is wrong after them; "" where nothing is.

    `file` at its beginning. Source: GIF89a, W3C, sections 17 to 27.
    """
    header = file.read(13)
    if len(header) < 13:
        return 0, "its header is cut off"
    _pass_table(file, header[10])
    pictures = 0
    while label := file.read(1):
        kind = label[0]
        if kind == _TRAILER:
            return pictures, ""
        if kind == _IMAGE:
            about = file.read(9)
            if len(about) < 9:
                break
            _pass_table(file, about[8])
        elif kind != _EXTENSION:
            return pictures, f"no block begins with 0x{kind:02x}"
        file.read(1)  # an extension's label, or the size of LZW codes
        if not _pass_data(file):
            break
        pictures += kind == _IMAGE
    return pictures, "it ends without an end mark"


def _pass_table(file: BinaryIO, packed: int) -> None:
    if packed & 0x80:
        file.read(3 << ((packed & 7) + 1))


def _pass_data(file: BinaryIO) -> bool:
    """Pass over sub-blocks to the empty one that ends them; False where the file ends first."""
    while size := file.read(1):
        if size == b"\0":
            return True
        if len(file.read(size[0])) < size[0]:
            break
    return False
