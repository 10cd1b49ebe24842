"""How errors leave a worker: with their place, with the frame to blame, and memory told apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

from cluster.errors import DougaError, InputError, OutOfMemory, StageError
from tasks.models.enlarge import is_out_of_memory


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Every error leaves with its place; what is not ours becomes a StageError with its name, what
    ran out of memory an OutOfMemory."""
    try:
        yield
    except OutOfMemory as error:
        raise error.at(where) from error
    except (InputError, StageError) as error:
        raise (_no_room(error) if ran_out(error) else error).at(where) from error
    except DougaError:
        raise
    except Exception as error:
        # The one broad catch: whatever a stage raises must name the shot and frames it was on.
        raise _ours(error).at(where) from error


@contextmanager
def blamed(moment: Fraction) -> Iterator[None]:
    """Every error leaves with the moment in its shot of the frame that was worked on."""
    try:
        yield
    except DougaError as error:
        error.moment = moment
        raise
    except Exception as error:  # as above
        ours = _ours(error)
        ours.moment = moment
        raise ours from error


def ran_out(error: BaseException | None) -> bool:
    """Whether memory is what an error, or one that led to it, is about."""
    while isinstance(error, Exception):
        if isinstance(error, OutOfMemory) or is_out_of_memory(error):
            return True
        error = error.__cause__
    return False


def _ours(error: Exception) -> DougaError:
    if ran_out(error):
        return OutOfMemory(
            "out of memory", remedy="use a smaller --chunk, DOUGA_TILE or fewer --workers"
        )
    return StageError(f"{type(error).__name__}: {error}")


def _no_room(error: DougaError) -> OutOfMemory:
    """A stage's own words for it."""
    other = OutOfMemory(error.what, where=error.where, remedy=error.remedy)
    other.moment = error.moment
    return other
