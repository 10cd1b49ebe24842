"""What `douga timeline` says to people: where the timeline lies, and what it has no media of."""

from __future__ import annotations

from typing import Any

from flows.commands.tables.tables import make_console


def show_timeline(document: dict[str, Any]) -> None:
    """The timeline's path first, for scripts; then a line on its shots."""
    console = make_console()
    console.print(document["timeline"], soft_wrap=True, markup=False, highlight=False)
    if document["edl"]:
        console.print(document["edl"], soft_wrap=True, markup=False, highlight=False)
    files = sum(shot["file"] is not None for shot in document["shots"])
    gaps = sum(shot["gap"] for shot in document["shots"])
    words = [f"{files} shots", f"{document['frames']} frames at {document['rate']}"]
    words += [f"{gaps} gaps"] if gaps else []
    words += [f"without media: {', '.join(document['missing'])}"] if document["missing"] else []
    console.print("; ".join(words), soft_wrap=True, markup=False, highlight=False)
