"""Whether a target is asked again, and when."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from flows.notify.retry import BACKOFF, Answer, next_pause_s

NOW = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)
BUSY = Answer(ok=False, said="answered 503", may_pass=True)


def pause(answer: Answer, **more: float) -> float | None:
    asked = {"tries": 1, "attempts": 4, "left_s": 20.0, "chance": 0.5, **more}
    return next_pause_s(answer, **asked)  # type: ignore[arg-type]


def test_what_was_taken_or_will_not_pass_is_not_sent_again() -> None:
    assert pause(Answer(ok=True, said="taken (204)")) is None
    assert pause(Answer(ok=False, said="answered 404")) is None


def test_it_is_tried_as_often_as_agreed() -> None:
    assert pause(BUSY, tries=3) is not None
    assert pause(BUSY, tries=4) is None


@given(st.integers(1, 50), st.floats(0, 1), st.floats(0, 100))
def test_pauses_grow_have_jitter_and_end_before_the_time_is_up(
    tries: int, chance: float, left_s: float
) -> None:
    found = pause(BUSY, tries=tries, attempts=100, chance=chance, left_s=left_s)
    longest = min(0.5 * 2 ** (tries - 1), BACKOFF.longest_s)
    if found is None:
        assert left_s <= longest
    else:
        assert longest / 2 <= found <= longest
        assert found < left_s


def test_two_senders_do_not_come_back_at_once() -> None:
    assert pause(BUSY, chance=0.1) != pause(BUSY, chance=0.9)


def test_who_asks_for_time_gets_it_or_is_left_alone() -> None:
    asked = Answer(ok=False, said="answered 429", may_pass=True, after_s=5.0)
    found = pause(asked)
    assert found is not None
    assert found >= 5.0
    assert pause(asked, left_s=4.0) is None
