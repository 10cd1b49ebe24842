"""`douga notify`: who is told of what, and whether they can be reached."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from cluster.errors import Exit, UsageError
from flows.commands.tools import AsJson, print_json


def notify(
    test: Annotated[bool, typer.Option("--test", help="send a test event to each")] = False,
    as_json: AsJson = False,
) -> None:
    """Say who is told when a run ends; with --test, tell them and say what each answered.

    Exit 1 if one could not be told. Settings: docs/notifications.md.
    """
    from cluster.settings import settings
    from flows.commands.tables.notify import show_targets
    from flows.notify.events import trial_event
    from flows.notify.send import deliver
    from flows.notify.targets import read_targets
    from flows.runs.outcome import Outcome

    targets = read_targets(settings())
    if test and not targets.targets:
        raise UsageError(
            "there is nobody to tell", remedy="set DOUGA_WEBHOOK_URL, or DOUGA_SMTP_HOST and more"
        )
    sent = deliver(trial_event(), targets) if test else []
    document: dict[str, Any] = {
        "events": [kind for kind in Outcome if kind in targets.kinds],
        "targets": [asdict(delivery) for delivery in sent]
        or [{"target": target.name} for target in targets.targets],
    }
    print_json(document, "notify") if as_json else show_targets(document)
    if not all(delivery.ok for delivery in sent):
        raise typer.Exit(Exit.FAILED)
