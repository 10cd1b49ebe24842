"""A render or a night that is notice of, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from cluster.settings import settings
from flows.notify.event import About, Event, plain
from flows.notify.events import event_from_error, event_from_night, event_from_result
from flows.notify.send import notify
from flows.notify.targets import read_targets
from flows.progress import Reporter
from flows.runs.night import Night
from flows.runs.result import EpisodeResult
from flows.spec.request import RenderRequest


class ExitNotice:
    """Takes what a render or a night came to, to be told at its end."""

    def __init__(self, command: str) -> None:
        self._command = command
        self.event: Event | None = None

    def result(self, result: EpisodeResult) -> None:
        """This is what the render came to."""
        self.event = event_from_result(result, command=self._command)

    def night(self, night: Night) -> None:
        """This is what the night came to."""
        self.event = event_from_night(night, command=self._command)

    def report(self, page: str) -> None:
        """This is where the night's page lies; empty: nowhere."""
        if self.event is not None:
            self.event = replace(self.event, report=plain(page))


@contextmanager
def notify_on_exit(request: RenderRequest, reporter: Reporter) -> Iterator[ExitNotice]:
    """Tell at the end of a `with` what the render came to that was given to it, or else what ended
    it.

    UsageError at its beginning if the settings that say whom to tell are wrong: hours later nobody
    would read it. Later than that it raises nothing of its own.
    """
    with _notify_on_exit(
        "episode", request.episode.name, reporter, command=request.command
    ) as notice:
        yield notice


@contextmanager
def notify_on_night_exit(
    nightly: str, reporter: Reporter, *, command: str = ""
) -> Iterator[ExitNotice]:
    """The same of a night: once for all its episodes."""
    with _notify_on_exit("night", nightly, reporter, command=command) as notice:
        yield notice


@contextmanager
def _notify_on_exit(
    about: About, name: str, reporter: Reporter, *, command: str
) -> Iterator[ExitNotice]:
    read_targets(settings())
    notice = ExitNotice(command)
    try:
        yield notice
    except BaseException as error:
        event = notice.event or event_from_error(error, about=about, name=name, command=command)
        notify(event, reporter=reporter)
        raise
    if notice.event is not None:
        notify(notice.event, reporter=reporter)
