"""What verification found wanting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cluster.errors import VerifyError

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be: what, where in the film, and both sides in words.

    A warning is something that a viewer will not notice.
    """

    what: str
    where: str
    expected: str
    got: str
    severity: Severity = "error"

    def __str__(self) -> str:
        place = f" at {self.where}" if self.where else ""
        return f"{self.what}{place}: expected {self.expected}, got {self.got}"


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
