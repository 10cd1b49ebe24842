"""How work ends: the states of a render, a night and an episode of a night, and what each means."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal

from cluster.errors import DougaError, Exit

Level = Literal["good", "warning", "error"]
Choice = Literal["done", "failed", "waiting"]
Verdict = Literal["good", "failure", "error", "skipped"]


class Outcome(StrEnum):
    """How a render, a night or an episode of a night ended, the worst first.

    The value is what nights and events store. `words` are for people, `level` is how bad it is on
    pages and in annotations, `choice` the word of DOUGA_NOTIFY that asks to be told of it,
    `verdict` what JUnit makes of the film. `recorded` is the state in a run's record, where it has
    another name than in a night. `LEFT_OUT`: refused by budget, deadline or gate, or not begun.
    `STOPPED`: ended by a person, a time limit or a hard deadline; what was finished is kept.
    """

    words: str
    exit_code: Exit
    level: Level
    choice: Choice
    verdict: Verdict
    recorded: str

    # value, words, exit_code, level, choice, verdict, recorded
    FAILED = "failed", "failed", Exit.FAILED, "error", "failed", "error"
    WANTING = "wanting", "failed verification", Exit.WANTING, "error", "failed", "failure"
    STOPPED = "stopped", "stopped", Exit.INTERRUPTED, "warning", "failed", "error"
    LEFT_OUT = "left out", "left out", Exit.REFUSED, "warning", "failed", "skipped", "refused"
    WAITING = (
        *("waiting", "waiting for review", Exit.REFUSED, "warning", "waiting", "skipped"),
        "waiting for review",
    )
    DONE = "done", "done", Exit.GOOD, "good", "done", "good"

    def __new__(
        cls,
        value: str,
        words: str = "",
        exit_code: Exit = Exit.FAILED,
        level: Level = "error",
        choice: Choice = "failed",
        verdict: Verdict = "error",
        recorded: str = "",
    ) -> Outcome:
        """A member; `recorded` where it is not the value."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.words, member.exit_code, member.level = words, exit_code, level
        member.choice, member.verdict, member.recorded = choice, verdict, recorded or value
        return member

    @classmethod
    def _missing_(cls, value: object) -> Outcome | None:
        """The states of records that are not values: a run that died has failed; one that made
        all that was asked for has done it, even where that was no film."""
        named = {each.recorded: each for each in cls}
        return {**named, "died": cls.FAILED, "in part": cls.DONE}.get(str(value))

    @classmethod
    def of_exit(cls, code: int) -> Outcome:
        """What the exit code of a command says."""
        if code in (Exit.TIMEOUT, Exit.INTERRUPTED):
            return cls.STOPPED
        if code == Exit.REFUSED:
            return cls.LEFT_OUT
        return next((each for each in cls if each.exit_code == code), cls.FAILED)

    @classmethod
    def of_error(cls, error: BaseException) -> Outcome:
        """How work ended that an error ended."""
        if isinstance(error, KeyboardInterrupt):
            return cls.STOPPED
        return cls.of_exit(error.exit_code) if isinstance(error, DougaError) else cls.FAILED


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of some, `DONE` of none."""
    found = set(outcomes)
    return next((each for each in Outcome if each in found), Outcome.DONE)
