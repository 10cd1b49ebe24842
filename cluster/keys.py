"""Content addresses: the same inputs give the same key on every machine and in every order."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import NewType

from cluster.files import open_plain

Key = NewType("Key", str)
"""A content address: 40 lower-case hex digits (160 bits of SHA-256)."""

Digest = NewType("Digest", str)
"""SHA-256 of an object's bytes: 64 lower-case hex digits."""

KEY_LENGTH = 40
_LIKE_A_FRACTION = re.compile(r"-?[0-9]+/[0-9]+")
_FLOAT, _TEXT, _PAIRS = "f", "s", "m"
"""How values are marked that JSON has no form for, or whose form another kind of value takes."""
_BLOCK_BYTES = 1 << 20


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, exact rationals as `"n/d"`.

    Takes None, bool, int, float, str, Fraction, Enum, Path, mappings, sequences, sets and
    dataclasses. Different values have different texts, save that an Enum is as its value, a Path
    as its POSIX text, a set as its sorted list and a dataclass as the mapping of its fields.
    Raises TypeError on anything else, so that no repr() slips into a key.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def make_key(value: object) -> Key:
    """The key of a value; equal values (whatever their dict order) have equal keys."""
    return Key(hashlib.sha256(canonical(value).encode()).hexdigest()[:KEY_LENGTH])


def digest_bytes(data: bytes | memoryview) -> Digest:
    """SHA-256 of bytes."""
    return Digest(hashlib.sha256(data).hexdigest())


def digest_file(path: Path) -> Digest:
    """SHA-256 of a plain file, read once in blocks of 1 MiB. OSError if it cannot be."""
    sha = hashlib.sha256()
    with open_plain(path) as file:
        while block := file.read(_BLOCK_BYTES):
            sha.update(block)
    return Digest(sha.hexdigest())


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return {_TEXT: value} if _LIKE_A_FRACTION.fullmatch(value) else value
    if isinstance(value, float):
        return {_FLOAT: value.hex()}
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, Path):
        return _plain(value.as_posix())
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _plain_mapping({field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=repr)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical form")


def _plain_mapping(value: Mapping[object, object]) -> object:
    """An object; a list of pairs where names are no text, or it would look like a mark."""
    items = {name: _plain(item) for name, item in value.items()}
    if all(isinstance(name, str) for name in items) and not _is_mark(items):
        return items
    pairs = [[_plain(name), item] for name, item in items.items()]
    return {_PAIRS: sorted(pairs, key=lambda pair: json.dumps(pair[0], sort_keys=True))}


def _is_mark(items: Mapping[object, object]) -> bool:
    return len(items) == 1 and next(iter(items)) in (_FLOAT, _TEXT, _PAIRS)
