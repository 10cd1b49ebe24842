"""What a target answered, and whether and when it is worth asking again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

SILENT = "no answer in time"
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
"""Before the second try, and at the most; they double. Short: a render's end waits for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The end of one try. `may_pass`: another try may go better; `after_s`: not before."""

    ok: bool
    said: str
    may_pass: bool = False
    after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What came of telling one target."""

    target: str
    ok: bool
    said: str
    tries: int
    seconds: float


def next_pause_s(
    answer: Answer, *, tries: int, attempts: int, left_s: float, chance: float
) -> float | None:
    """Seconds to wait before the next try, None to give up.

    `tries` are done so far, `left_s` is what is left of the time for all of them, `chance` a
    random number 0..1 that keeps many senders from coming back at once.
    """
    if answer.ok or not answer.may_pass or tries >= attempts:
        return None
    pause_s = min(FIRST_PAUSE_S * 2 ** (tries - 1), LONGEST_PAUSE_S) * (0.5 + 0.5 * chance)
    pause_s = max(pause_s, answer.after_s + chance * FIRST_PAUSE_S if answer.after_s else 0.0)
    return pause_s if pause_s < left_s else None


def read_retry_after(text: str, *, now: datetime) -> float:
    """Seconds that a Retry-After header asks for (a number, or a date); 0 where it says nothing."""
    if text.strip().isdigit():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())
