"""A render that is told of, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cluster.settings import settings
from flows.notify.event import Event
from flows.notify.events import event_from_error, event_from_result
from flows.notify.send import notify
from flows.notify.targets import read_targets
from flows.progress import Reporter
from flows.request import RenderRequest
from flows.result import EpisodeResult


class Told:
    """Takes the result of the render that is told of."""

    def __init__(self, request: RenderRequest) -> None:
        self._request = request
        self._result: EpisodeResult | None = None

    def __call__(self, result: EpisodeResult | None) -> None:
        """This is what the render came to; None: it raises what stopped it."""
        self._result = result

    def event(self) -> Event | None:
        """What to tell of a render that came to its end."""
        if self._result is None:
            return None
        return event_from_result(self._result, command=self._request.command)


@contextmanager
def telling(request: RenderRequest, reporter: Reporter) -> Iterator[Told]:
    """Tell at the end of a `with` what the render came to that was given to it, or what ended it.

    UsageError at its beginning if the settings that say whom to tell are wrong: hours later nobody
    would read it. Later than that it raises nothing of its own.
    """
    read_targets(settings())
    told = Told(request)
    try:
        yield told
    except BaseException as error:
        event = event_from_error(error, episode=request.episode.name, command=request.command)
        notify(event, reporter=reporter)
        raise
    if (event_at_end := told.event()) is not None:
        notify(event_at_end, reporter=reporter)
