"""Content addresses: the same inputs give the same key on every machine and in every order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import NewType

Key = NewType("Key", str)
"""A content address: 40 lower-case hex digits (160 bits of SHA-256)."""

Digest = NewType("Digest", str)
"""SHA-256 of an object's bytes: 64 lower-case hex digits."""

KEY_LENGTH = 40
_BLOCK_BYTES = 1 << 20


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, exact rationals as `"n/d"`.

    Takes None, bool, int, float, str, Fraction, Enum, Path, mappings, sequences, sets and
    dataclasses. Raises TypeError on anything else, so that no repr() slips into a key.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def make_key(value: object) -> Key:
    """The key of a value; equal values (whatever their dict order) have equal keys."""
    return Key(hashlib.sha256(canonical(value).encode()).hexdigest()[:KEY_LENGTH])


def digest_bytes(data: bytes | memoryview) -> Digest:
    """SHA-256 of bytes."""
    return Digest(hashlib.sha256(data).hexdigest())


def digest_file(path: Path) -> Digest:
    """SHA-256 of a file, read once in blocks of 1 MiB."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            sha.update(block)
    return Digest(sha.hexdigest())


def _plain(value: object) -> object:
    if value is None or (isinstance(value, bool | int | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, float):
        return {"f": value.hex()}
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=repr)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical form")
