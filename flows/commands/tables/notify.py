"""What `douga notify` says."""

from __future__ import annotations

from typing import Any

from rich.markup import escape

from flows.commands.tables.tables import make_console, make_table


def show_targets(document: dict[str, Any]) -> None:
    """Of what is told, and each target with what it answered if it was asked."""
    console = make_console()
    console.print(f"tells of: {', '.join(document['events']) or 'nothing (DOUGA_NOTIFY=off)'}")
    if not document["targets"]:
        console.print("nobody: set DOUGA_WEBHOOK_URL, or DOUGA_SMTP_HOST and DOUGA_MAIL_TO")
        return
    asked = "said" in document["targets"][0]
    table = make_table(*(["", "target", "said", "tries", "seconds"] if asked else ["target"]))
    for each in document["targets"]:
        row = [each["target"]]
        if asked:
            mark = "ok" if each["ok"] else "BAD"
            row = [mark, *row, each["said"], str(each["tries"]), f"{each['seconds']:.1f}"]
        table.add_row(*map(escape, row))
    console.print(table)
