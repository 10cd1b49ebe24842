"""Tell every target of an event, side by side, in bounded time, and say what came of it."""

from __future__ import annotations

import random
import threading
import time

from cluster.errors import DougaError
from cluster.settings import settings
from flows.notify.event import Event
from flows.notify.retry import SILENT, Answer, Delivery, next_pause_s
from flows.notify.targets import Target, Targets, Webhook, read_targets
from flows.progress import Reporter
from flows.runs.outcome import Outcome

STOPPED_TIMEOUT_S = 3.0
"""For the event of a run that was stopped: whoever stops it soon kills what does not end."""


def notify(event: Event, *, reporter: Reporter) -> None:
    """Tell whoever the settings name. Raises nothing and takes DOUGA_NOTIFY_TIMEOUT_S at the most;
    what could not be told is a note."""
    try:
        targets = read_targets(settings())
    except DougaError as error:
        reporter.note(f"nobody was told: {error}")
        return
    if not targets.wants(event.kind):
        return
    for delivery in deliver(event, targets):
        if not delivery.ok:
            tries = f" after {delivery.tries} tries" if delivery.tries > 1 else ""
            reporter.note(f"{delivery.target} was not told{tries}: {delivery.said}")


def deliver(event: Event, targets: Targets) -> list[Delivery]:
    """What came of telling every target, in their order."""
    timeout_s = settings().notify_timeout_s
    if event.kind is Outcome.STOPPED:
        timeout_s = min(timeout_s, STOPPED_TIMEOUT_S)
    errands = [Errand(event, target, timeout_s=timeout_s) for target in targets.targets]
    for errand in errands:
        # Daemons: a server that sends a byte now and then outlives every timeout of a socket's,
        # and must not keep the command from ending.
        threading.Thread(target=errand.run, daemon=True, name="notify").start()
    return [errand.wait() for errand in errands]


class Errand:
    """One target's tries, in a thread of their own; whoever waits for it waits no longer than
    agreed."""

    def __init__(self, event: Event, target: Target, *, timeout_s: float) -> None:
        self._event = event
        self._target = target
        self._began = time.monotonic()
        self._until = self._began + timeout_s
        self._tries = 0
        self._last: Answer | None = None
        self._ended = threading.Event()

    def run(self) -> None:
        """Try until it is taken, or there is no sense or time left in trying."""
        try:
            pause_s: float | None = 0.0
            while pause_s is not None:
                time.sleep(pause_s)
                left_s = self._until - time.monotonic()
                self._tries += 1
                self._last = answer = _try(self._event, self._target, max(left_s, 0.1))
                pause_s = next_pause_s(
                    answer,
                    tries=self._tries,
                    attempts=settings().notify_attempts,
                    left_s=self._until - time.monotonic(),
                    chance=random.random(),
                )
        finally:
            self._ended.set()

    def wait(self) -> Delivery:
        """The end of it, or where it stands when the time is up."""
        self._ended.wait(max(0.0, self._until - time.monotonic()))
        last = self._last
        said = last.said if last else SILENT
        return Delivery(
            target=self._target.name,
            ok=last is not None and last.ok,
            said=said,
            tries=self._tries,
            seconds=round(time.monotonic() - self._began, 3),
        )


def _try(event: Event, target: Target, timeout_s: float) -> Answer:
    """Tell a target once. Raises nothing: it runs in a thread that nobody looks into."""
    from flows.notify.mail import send_mail
    from flows.notify.mail_message import make_letter
    from flows.notify.webhook import post

    try:
        if isinstance(target, Webhook):
            return post(target, event, timeout_s=timeout_s)
        return send_mail(target, make_letter(event, target), timeout_s=timeout_s)
    except Exception as error:  # the door: its words may hold the URL
        return Answer(ok=False, said=f"cannot be told ({type(error).__name__}, a bug)")
