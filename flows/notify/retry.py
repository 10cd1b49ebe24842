"""What a target answered, and whether and when it is worth asking again. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.retry import Backoff

SILENT = "no answer in time"
BACKOFF = Backoff(first_s=0.5, longest_s=8.0)
"""Short: a render's end waits for it."""


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
    pause_s = BACKOFF.wait_s(tries, chance=chance, asked_s=answer.after_s)
    return pause_s if pause_s < left_s else None
