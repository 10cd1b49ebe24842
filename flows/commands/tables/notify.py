"""What `douga notify` says."""

from __future__ import annotations

from typing import Any

from flows.commands.tables.tables import make_console, make_table, say
from flows.words import duration_words


def show_targets(document: dict[str, Any]) -> None:
    """Which events are sent, and each target with its answer if a test was sent."""
    console = make_console()
    say(console, f"sends: {', '.join(document['events']) or 'nothing (DOUGA_NOTIFY=off)'}")
    targets = document["targets"]
    if not targets:
        say(console, "to nobody: set DOUGA_WEBHOOK_URL, or DOUGA_SMTP_HOST and DOUGA_MAIL_TO")
    elif "said" in targets[0]:
        rows = [
            (
                *("ok" if each["ok"] else "BAD", each["target"], each["said"]),
                *(each["tries"], duration_words(each["seconds"])),
            )
            for each in targets
        ]
        console.print(make_table(("", "target", "answer", "tries>", "took>"), rows))
    else:
        console.print(make_table(("target",), [(each["target"],) for each in targets]))
