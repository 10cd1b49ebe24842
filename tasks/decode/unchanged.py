"""That a file which is read is the one that was hashed.

Frames rest under keys that name the digest of their source. A source that is exported again while
a render runs would put other pictures under these keys, for ever: so whoever reads a file holds it
to its digest before, and to what the file system says of it (size, times, inode) after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import InputError, os_reason
from cluster.keys import Digest
from tasks.decode.digest import Identity, file_digest, identify
from tasks.decode.source import FILMS, SourceIndex


@dataclass(slots=True)
class HeldFile:
    """A file held to a digest while it is read: `begin`, read, `confirm`, as often as wanted.

    `known` is what the file system said of the file when it was hashed, on whatever machine: where
    it says the same here, the file is not read through again. `cache_dir` remembers digests, `look`
    asks the file system.
    """

    path: str
    digest: Digest
    cache_dir: Path | None = None
    known: Identity | None = None
    look: Callable[[str], Identity] = identify
    _accepted: Identity | None = None

    def begin(self) -> Identity:
        """Before the file is opened. InputError unless it holds what was hashed."""
        if self._accepted is None:
            self._accepted = self._accept()
        return self._accepted

    def confirm(self) -> None:
        """After it was read. InputError if it may have been another one since `begin`."""
        now = self._identity()
        if now == self._accepted and (now.tells or self._digest() == self.digest):
            return
        self._accepted = None
        raise changed(self.path)

    def _accept(self) -> Identity:
        before = self._identity()
        if before == self.known and before.tells:
            return before
        if self._digest() != self.digest or self._identity() != before:
            raise changed(self.path)
        return before

    def _digest(self) -> Digest:
        return file_digest(self.path, cache_dir=self.cache_dir)

    def _identity(self) -> Identity:
        try:
            return self.look(self.path)
        except OSError as error:
            raise InputError(
                f"cannot be read any more ({os_reason(error)})",
                where=self.path,
                remedy="bring it back and render again",
            ) from error


@contextmanager
def held_films(indices: Iterable[SourceIndex], *, cache_dir: Path) -> Iterator[None]:
    """Around work that reads whole films, for their sound and all else beside the pictures: they
    are those that were indexed, before and after. InputError names the one that is not."""
    films = {index.path: index.content for index in indices if index.kind in FILMS}
    held = [HeldFile(path, digest, cache_dir=cache_dir) for path, digest in films.items()]
    for film in held:
        film.begin()
    yield
    for film in held:
        film.confirm()


def changed(path: str) -> InputError:
    """The error for a file that is not, or no longer, the one that was indexed."""
    return InputError(
        "changed since it was indexed: nothing made of it is kept",
        where=path,
        remedy="render again when nobody writes to it any more",
    )
