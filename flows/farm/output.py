"""The film's place: checked before the work begins, and a folder beside it to make it in."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cluster.errors import UsageError, unwritable
from cluster.scratch import scratch_folder
from flows.plan.prepare import Prepared

REMEDY = "name another place with -o"


def check_output(prepared: Prepared) -> None:
    """Check, before the work begins, that the film can be written.

    UsageError where its name is a source's or a folder's; EncodeError where nothing can be written.
    Makes nothing, not even the folders that are missing.
    """
    film = Path(prepared.request.output)
    episode = prepared.request.episode
    sources = [Path(episode.resolve(source.path)) for source in episode.sources]
    if film.exists() and any(path.exists() and path.samefile(film) for path in sources):
        raise UsageError(
            "the film would replace its own source", where=str(film), remedy="name another with -o"
        )
    if film.is_dir():
        raise UsageError("is a folder", where=str(film), remedy="name a file with -o")
    check_writable(film)


def check_writable(file: Path) -> None:
    """EncodeError where nothing can be written at a file's place, nor the folders that it lacks."""
    try:
        there = next(folder for folder in file.absolute().parents if folder.exists())
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise unwritable(file, error, remedy=REMEDY) from error


@contextmanager
def folder_beside(film: Path) -> Iterator[Path]:
    """A folder of our own on the film's file system, for the length of a `with`."""
    with ExitStack() as stack:
        try:
            film.parent.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(scratch_folder("film", beside=film.parent))
        except OSError as error:
            raise unwritable(film, error, remedy=REMEDY) from error
        yield folder
