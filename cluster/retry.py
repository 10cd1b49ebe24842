"""How long to wait before a retry: the one back-off, and what `Retry-After` asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_LONGEST_S = 1e9
"""More has no date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits that double from `first_s` up to `longest_s` seconds.

    Chance decides about the share `jitter` of each wait, so that those that failed together do not
    come back together; 1 is "full jitter" (Brooker, Exponential Backoff And Jitter, AWS
    Architecture Blog 2015).
    """

    first_s: float
    longest_s: float
    jitter: float = 0.5

    def wait_s(self, failed: int, *, chance: float = 1.0, asked_s: float = 0.0) -> float:
        """Seconds to wait after the `failed`-th failure, on top of the `asked_s` seconds that the
        other side asked for; `chance` is a random number in [0, 1)."""
        longest_s = min(self.longest_s, self.first_s * 2.0 ** min(failed - 1, 64))
        return asked_s + longest_s * (1 - self.jitter + self.jitter * chance)


def read_retry_after(text: str, *, now: datetime | None = None) -> float:
    """Seconds that a `Retry-After` header asks for, in seconds or as a date (RFC 9110 10.2.3); 0
    where it says nothing."""
    text = text.strip()
    if text.isdecimal():
        return min(float(text), _LONGEST_S)
    try:
        until = parsedate_to_datetime(text)
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, OverflowError):
        return 0.0
