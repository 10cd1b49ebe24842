"""Findings: the faults that verification reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from cluster.errors import VerifyError

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be: what, where in the film, and both sides in words.

    `frames` are the film's frames `[start, end)` that it concerns, None where it is about no frame.
    `next` says what to do. A warning is something that a viewer will not notice.
    """

    what: str
    where: str
    expected: str
    got: str
    severity: Severity = "error"
    frames: tuple[int, int] | None = None
    next: str = ""

    def __str__(self) -> str:
        place = f" at {self.where}" if self.where else ""
        return f"{self.what}{place}: expected {self.expected}, got {self.got}"


def frames_words(frames: tuple[int, int]) -> str:
    """`frame 7` or `frames 7-12` for a half-open range."""
    start, end = frames
    return f"frame {start}" if end - start == 1 else f"frames {start}-{end - 1}"


def broken(where: str, got: str, *, frames: tuple[int, int] | None = None) -> Finding:
    """The finding that something cannot be decoded, or not whole."""
    return Finding(what="decoding", where=where, expected="no error", got=got, frames=frames)


def join_runs(findings: Iterable[Finding]) -> list[Finding]:
    """Findings with those about neighbouring frames made one: the same thing, one after another.

    What was found of the first of them stands for all.
    """
    joined: list[Finding] = []
    last: dict[tuple[str, str, str], int] = {}
    for finding in findings:
        kind = (finding.what, finding.expected, finding.severity)
        at = last.get(kind)
        if at is not None and finding.frames is not None:
            before = joined[at]
            assert before.frames is not None
            start, end = before.frames
            if start <= finding.frames[0] <= end:
                frames = (start, max(end, finding.frames[1]))
                joined[at] = replace(before, frames=frames, where=frames_words(frames))
                continue
        if finding.frames is not None:
            last[kind] = len(joined)
        joined.append(finding)
    return joined


def raise_on_findings(findings: Sequence[Finding], *, film: Path) -> None:
    """VerifyError naming the first error and how many more there are; warnings pass."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    raise VerifyError(
        f"{errors[0]}{more}",
        where=film.name,
        remedy="render the shots concerned again, or see all findings with `douga verify --json`",
    )
