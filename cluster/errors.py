"""Every error that douga raises on purpose.

    DougaError                 exit 1
    ├── UsageError             exit 64  the command line, episode.yaml or recipe is wrong
    ├── InputError             exit 1   a source or asset cannot be read
    ├── StoreError             exit 1   the store refused or lost something
    │   └── DigestError                 bytes came back different from what was put
    ├── StageError             exit 1   a stage failed on a frame
    │   └── OutOfMemory                 it did not fit, however small the pieces
    ├── EncodeError            exit 1   ffmpeg or the muxer failed
    ├── ClusterError           exit 1   no Ray, or not the resources asked for
    │   └── GivenBack                   a worker leaves; another one does the work
    ├── ShotsFailed            exit 1   some shots failed, the rest are done
    ├── VerifyError            exit 2   done, and failed verification
    ├── RefusedError           exit 3   budget, deadline or gate
    ├── TimedOut               exit 124
    └── Interrupted            exit 130

A message is one line: where, what was expected and what came, then the next step.
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from typing import ClassVar


class Exit(IntEnum):
    """Exit codes of the `douga` command; other programs rely on them."""

    GOOD = 0
    FAILED = 1
    WANTING = 2
    REFUSED = 3
    USAGE = 64
    TIMEOUT = 124
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a piece of work that failed: in which process of which machine, and with what."""

    worker: str
    node: str
    error: str
    traceback: str = ""


class DougaError(Exception):
    """What went wrong, where, and what to do next.

    `where` reads from large to small (`ep01/sh010/upscale frame 12` or `episode.yaml:14`);
    `retryable` says whether the same work may succeed when tried again. `moment` is when in its
    shot the frame is shown that is to blame, in seconds; None where no single one is. `attempts`
    are the tries that workers made before it was given up; none where no worker was involved.
    """

    exit_code: ClassVar[Exit] = Exit.FAILED

    def __init__(
        self, what: str, *, where: str = "", remedy: str = "", retryable: bool = False
    ) -> None:
        super().__init__(what, where, remedy, retryable)
        self.what = what
        self.where = where
        self.remedy = remedy
        self.retryable = retryable
        self.moment: Fraction | None = None
        self.attempts: tuple[Attempt, ...] = ()

    def __reduce__(self) -> tuple[object, ...]:
        plain = (type(self), self.what, self.where, self.remedy, self.retryable)
        return (_rebuild, plain, {"moment": self.moment, "attempts": self.attempts})

    def __str__(self) -> str:
        head = f"{self.where}: " if self.where else ""
        tail = f"; {self.remedy}" if self.remedy else ""
        return printable(" ".join(f"{head}{self.what}{tail}".split()))

    def at(self, where: str) -> DougaError:
        """The same error with a place put in front of the one it names."""
        joined = f"{where}: {self.where}" if self.where else where
        return self.placed(joined)

    def placed(self, where: str) -> DougaError:
        """The same error with another place in place of the one it names."""
        other = type(self)(self.what, where=where, remedy=self.remedy, retryable=self.retryable)
        other.moment, other.attempts = self.moment, self.attempts
        return other


def _rebuild(
    kind: type[DougaError], what: str, where: str, remedy: str, retryable: bool
) -> DougaError:
    return kind(what, where=where, remedy=remedy, retryable=retryable)


class UsageError(DougaError):
    """The command line, `episode.yaml` or a recipe is wrong."""

    exit_code = Exit.USAGE


class InputError(DougaError):
    """A source or asset is missing, unreadable or not what it claims to be."""


class StoreError(DougaError):
    """The store refused, or cannot be reached."""


class DigestError(StoreError):
    """Bytes came back different from what was put."""


class StageError(DougaError):
    """A stage failed on a frame."""


class OutOfMemory(StageError):
    """A stage's work does not fit in memory, in the smallest pieces it can be cut in."""


class EncodeError(DougaError):
    """ffmpeg or the muxer failed."""


_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What a terminal obeys instead of showing it (C0 but for tab and line feed, DEL, C1), what turns
the order of letters around, line separators, and halves of characters, which no stream takes."""


def printable(text: str) -> str:
    """Text as terminals and logs may get it, whoever wrote it: control characters, marks that turn
    text around and halves of characters stand there as their codes, such as `\\x1b`."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def shortly(value: object) -> str:
    """A value as messages quote it: in one line, of some 60 characters."""
    text = ascii(value) if isinstance(value, bytes) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def os_reason(error: OSError) -> str:
    """What the operating system said, as part of a sentence: `no space left on device`."""
    said = error.strerror or str(error)
    return said[:1].lower() + said[1:]


def unwritable(path: object, error: OSError, *, remedy: str = "") -> EncodeError:
    """The error for a place that the operating system refuses to write to."""
    return EncodeError(f"cannot be written ({os_reason(error)})", where=str(path), remedy=remedy)


def explained(error: BaseException) -> DougaError:
    """Any error as one of ours: itself, what the operating system refused (a full disk, a missing
    permission, a limit), or a bug by its name."""
    if isinstance(error, DougaError):
        return error
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return DougaError("out of memory", remedy="use fewer --workers, or raise ulimit -v")
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return DougaError(
            "no further thread can be started", remedy="raise ulimit -u and ulimit -v"
        )
    if number in (errno.EMFILE, errno.ENFILE):
        return DougaError("too many files are open", remedy="raise ulimit -n")
    if isinstance(error, OSError) and number is not None:
        return DougaError(
            f"the system refuses it ({os_reason(error)})",
            where=str(error.filename or ""),
            remedy="mend disk, permissions or limits and run the same again; what is finished "
            "is kept",
        )
    text = " ".join(str(error).split())[:300]
    return DougaError(f"{type(error).__name__}: {text} (a bug; --debug shows where)")


class ClusterError(DougaError):
    """Ray cannot be reached, or lacks the resources asked for."""


class GivenBack(ClusterError):
    """A worker that leaves gives back work that it has not begun; no failure of the work's."""


class ShotsFailed(DougaError):
    """Some shots failed; the others are done and stored."""


class VerifyError(DougaError):
    """The film was made and does not pass verification."""

    exit_code = Exit.WANTING


class RefusedError(DougaError):
    """A budget, a deadline or a gate says no."""

    exit_code = Exit.REFUSED


class TimedOut(DougaError):
    """The time given ran out."""

    exit_code = Exit.TIMEOUT


class Interrupted(DougaError):
    """A person stopped the run; what was finished is kept."""

    exit_code = Exit.INTERRUPTED
