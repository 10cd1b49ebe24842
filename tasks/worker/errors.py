"""Gives errors that leave a worker their place, their frame and, out of memory, a class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

from cluster.errors import DougaError, InputError, OutOfMemory, StageError, explained
from tasks.models.enlarge import is_out_of_memory


@contextmanager
def errors_at(where: str) -> Iterator[None]:
    """Adds the place to every error. Errors that are not ours become a StageError with their name,
    or OutOfMemory."""
    try:
        yield
    except OutOfMemory as error:
        raise error.at(where) from error
    except (InputError, StageError) as error:
        raise (_out_of_memory(error) if is_memory_error(error) else error).at(where) from error
    except DougaError:
        raise
    except Exception as error:
        # The one broad catch: whatever a stage raises must name the shot and frames it was on.
        raise _ours(error).at(where) from error


@contextmanager
def errors_at_moment(moment: Fraction) -> Iterator[None]:
    """Adds to every error the moment in its shot of the frame that was being made."""
    try:
        yield
    except DougaError as error:
        error.moment = moment
        raise
    except Exception as error:  # as above
        ours = _ours(error)
        ours.moment = moment
        raise ours from error


def is_memory_error(error: BaseException | None) -> bool:
    """Whether an error, or one of its causes, says that memory ran out."""
    while isinstance(error, Exception):
        if isinstance(error, OutOfMemory) or is_out_of_memory(error):
            return True
        error = error.__cause__
    return False


def _ours(error: Exception) -> DougaError:
    if is_memory_error(error):
        return OutOfMemory(
            "out of memory", remedy="use a smaller --chunk, DOUGA_TILE or fewer --workers"
        )
    if isinstance(error, OSError):
        told = explained(error)
        return StageError(told.what, where=told.where, remedy=told.remedy)
    return StageError(f"{type(error).__name__}: {error}")


def _out_of_memory(error: DougaError) -> OutOfMemory:
    """The same error in the stage's own words."""
    other = OutOfMemory(error.what, where=error.where, remedy=error.remedy)
    other.moment = error.moment
    return other
