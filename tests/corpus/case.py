"""One bad input: the files that it lays down, the words that are typed, what may come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

GOOD, FAILED, USAGE = 0, 1, 64
Write = Callable[[Path, Path], object]
"""Lays a case's files down: (the case's folder, the folder of the good films)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`codes` are the exit codes that may come of `douga plan` with `words`.

    `said` must all be in the one line of a refusal, `noted` in what is told of a success; `frames`,
    `size` and `rate` are what a success reads. `truth` names the good film that this was.
    """

    name: str
    words: tuple[str, ...]
    write: Write
    codes: frozenset[int] = frozenset((FAILED,))
    said: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()
    frames: int | None = None
    size: tuple[int, int] | None = None
    rate: str | None = None
    truth: str = ""


def good(name: str, *words: str, write: Write, **more: object) -> Case:
    """A case that must be read right."""
    return Case(name=name, words=words, write=write, codes=frozenset((GOOD,)), **more)  # type: ignore[arg-type]


def refused(name: str, *words: str, write: Write, code: int = FAILED, said: str = "") -> Case:
    """A case that must be refused; `said` are words of the line, divided by ` … `."""
    asked = tuple(word for word in said.split(" … ") if word)
    return Case(name=name, words=words, write=write, codes=frozenset((code,)), said=asked)


def text(name: str, content: str | bytes) -> Write:
    """Lays down a file of text."""
    data = content.encode() if isinstance(content, str) else content
    return lambda folder, goods: (folder / name).write_bytes(data)
