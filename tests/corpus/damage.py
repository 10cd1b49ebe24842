"""Ways in which files come to harm, each the same for the same seed."""

from __future__ import annotations

import random


def cut_at(data: bytes, part: float) -> bytes:
    """What is left of a download that broke off: the first `part` of it."""
    return data[: max(1, int(len(data) * part))]


def flip_bits(data: bytes, *, seed: int, count: int, low: float = 0.0, high: float = 1.0) -> bytes:
    """`count` single bits flipped anywhere in the part `[low, high)` of the file."""
    chance = random.Random(seed)
    harmed = bytearray(data)
    first, last = int(len(data) * low), max(int(len(data) * high), int(len(data) * low) + 1)
    for _ in range(count):
        harmed[chance.randrange(first, min(last, len(data)))] ^= 1 << chance.randrange(8)
    return bytes(harmed)


def fill(data: bytes, *, seed: int, at: float, size: int, zeros: bool = False) -> bytes:
    """A block of a disk gone: `size` bytes from the part `at` on made noise, or zeros."""
    place = min(int(len(data) * at), max(0, len(data) - size))
    size = min(size, len(data) - place)
    lost = bytes(size) if zeros else random.Random(seed).randbytes(size)
    return data[:place] + lost + data[place + size :]


def take_out(data: bytes, *, at: float, size: int) -> bytes:
    """`size` bytes from the part `at` on left out."""
    place = int(len(data) * at)
    return data[:place] + data[place + size :]
