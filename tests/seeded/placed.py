"""Where a seeded fault is, and whether a finding is about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from flows.plan.plan import RenderPlan

COUNTED = r"^(frame count|decoded frames|end|duration)\b"
"""What a film with a frame too few or too many is said to be, without a place."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A seeded fault: in these frames of the film (None: in no frame) of these shots, `near` the
    frames of those shots. `says` is what the finding must say, `also` what else may follow."""

    name: str
    says: str
    frames: tuple[int, int] | None = None
    near: tuple[tuple[int, int], ...] = ()
    shots: tuple[str, ...] = ()
    also: str = "^$"

    def is_told(self, finding: Mapping[str, Any]) -> bool:
        """Whether a finding names this fault in its place."""
        if not re.search(self.says, words(finding)):
            return False
        if self.frames is not None and finding["frames"] is not None:
            return overlap(self.frames, finding["frames"])
        return not self.shots or any(shot in finding["where"] for shot in self.shots)

    def is_near(self, finding: Mapping[str, Any]) -> bool:
        """Whether a finding is about the shots of this fault, or follows from it."""
        if re.search(self.also, words(finding)):
            return True
        if not self.near:
            return re.search(self.says, words(finding)) is not None
        if finding["frames"] is None:
            return any(shot in finding["where"] for shot in self.shots)
        start, end = finding["frames"]
        return set(range(start, end)) <= {n for part in self.near for n in range(*part)}


def place(
    plan: RenderPlan,
    name: str,
    says: str,
    numbers: Sequence[int],
    *,
    frames: tuple[int, int] | None = None,
    also: str = "^$",
) -> Placed:
    """A fault in the shots with these numbers, or in all of the first one."""
    ranges = shot_ranges(plan)
    return Placed(
        name=name,
        says=says,
        frames=frames or ranges[numbers[0]],
        near=tuple(ranges[number] for number in numbers),
        shots=tuple(plan.shots[number].shot.id for number in numbers),
        also=also,
    )


def words(finding: Mapping[str, Any]) -> str:
    """What a finding says, in one line."""
    return f"{finding['what']} {finding['where']}: {finding['got']}"


def overlap(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two half-open ranges share a frame."""
    return one[0] < other[1] and other[0] < one[1]


def shot_ranges(plan: RenderPlan) -> list[tuple[int, int]]:
    """The film's frames of every shot."""
    ends = list(accumulate(len(shot.track) for shot in plan.shots))
    return list(zip([0, *ends], ends, strict=False))
