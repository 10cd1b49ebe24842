"""Aligns two sequences of digests: which entries are missing, added or replaced. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

LONGEST = 400_000
"""Differing parts longer than this (four hours of frames) are taken as one: time is bounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Expected items `[start, end)` stand where found items `[found_start, found_end)` do."""

    start: int
    end: int
    found_start: int
    found_end: int


def align(expected: Sequence[bytes], found: Sequence[bytes]) -> list[Difference]:
    """Where two sequences differ, in order; nothing if they are equal."""
    shorter = min(len(expected), len(found))
    head = next((at for at in range(shorter) if expected[at] != found[at]), shorter)
    tail = 0
    while tail < shorter - head and expected[-1 - tail] == found[-1 - tail]:
        tail += 1
    left, right = expected[head : len(expected) - tail], found[head : len(found) - tail]
    if not left and not right:
        return []
    if max(len(left), len(right)) > LONGEST:
        parts = [(0, len(left), 0, len(right))]
    else:
        ways = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
        parts = [part for kind, *part in ways if kind != "equal"]  # type: ignore[misc]
    return [
        Difference(start=a + head, end=b + head, found_start=c + head, found_end=d + head)
        for a, b, c, d in parts
    ]
