"""What `douga timeline` says to people: where the timeline lies, and what it has no media of."""

from __future__ import annotations

from typing import Any

from flows.commands.tables.tables import make_console, say
from flows.words import count_words


def show_timeline(document: dict[str, Any]) -> None:
    """The timeline's path first, for scripts; then a line on its shots."""
    console = make_console()
    say(console, document["timeline"])
    if document["edl"]:
        say(console, document["edl"])
    files = sum(shot["file"] is not None for shot in document["shots"])
    gaps = sum(shot["gap"] for shot in document["shots"])
    words = [
        count_words(files, "shot"),
        f"{count_words(document['frames'], 'frame')} at {document['rate']}",
    ]
    words += [f"{gaps} gaps"] if gaps else []
    words += [f"without media: {', '.join(document['missing'])}"] if document["missing"] else []
    say(console, "; ".join(words))
