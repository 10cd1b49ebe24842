"""Shows a run on Prefect's page from a thread of its own.

Prefect only shows: the run never waits for its server and does not fail of it. What a server missed
while it was starting, slow or away is shown when it answers, to the end of the run and a moment
longer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cluster.errors import DougaError
from cluster.settings import foreign, settings
from flows.prefect.api import PrefectApi
from flows.prefect.embedded import STOP_TIMEOUT_S
from flows.prefect.server import prefect_api
from flows.progress import Reporter, one_line

LONG_S = 60.0
"""A run that takes no longer gets no server of its own, whose start costs 9 CPU-s: six seconds of
film were rendered in 24 s without it, in 31 s beside it."""
AGAIN_S = 2.0
SETTLES_WITHIN_S = 30.0
"""How long the end of a run waits for a server that has not heard of all of it."""
STOPS_WITHIN_S = 2.5
"""The same for a run that was stopped or failed, whose command ends within ten seconds."""

Play = Callable[[PrefectApi], None]
"""Shows a run from its first shot to its end. Raises what Prefect's client raises where the server
is away; called again then."""


class Show:
    """A run on Prefect's page, as far as it is there."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._lasting = bool(foreign("PREFECT_API_URL"))
        self._is_wanted = self._lasting or settings().prefect == "embedded"
        self._trouble = "its server was not up in time"
        self._is_up = False
        self._is_done = False
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prefect", daemon=True)
        self._thread.start()

    def leave(self, reporter: Reporter, *, failed: bool = False) -> None:
        """Wait for the end of the show, or give it up, with a note; a server of our own ends.

        One that nobody has asked for and that is not up yet is not waited for, nor is one of our
        own that is starting still for a run that has failed.
        """
        within_s = STOPS_WITHIN_S if failed else SETTLES_WITHIN_S
        wanted = self._is_wanted or self._is_up
        starts = not self._lasting and not self._is_up
        self._thread.join(0 if not wanted or (failed and starts) else within_s)
        self._given_up.set()
        if not self._lasting:
            self._thread.join(STOP_TIMEOUT_S + 1)
        if wanted and not self._is_done:
            reporter.note(f"Prefect does not know the end of this run: {self._trouble}")

    def _run(self) -> None:
        if not self._is_wanted and self._given_up.wait(LONG_S):
            return
        while not self._given_up.is_set():
            try:
                with prefect_api(cancelled=self._given_up) as api:
                    self._is_up = True
                    self._play(api)
                    self._is_done = True
                    return
            except Exception as error:  # Prefect's client raises what it likes
                if self._given_up.is_set():
                    return
                self._trouble = one_line(str(error)) or type(error).__name__
                if not self._lasting and isinstance(error, DougaError):
                    return  # no server starts here
            self._given_up.wait(AGAIN_S)


@contextmanager
def shown(play: Play, reporter: Reporter) -> Iterator[None]:
    """Have `play` show a run for the length of a `with`, whose end it is to hear of by itself."""
    show = Show(play)
    try:
        yield
    except BaseException:
        show.leave(reporter, failed=True)
        raise
    show.leave(reporter)
