"""What `douga verify` says."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from flows.commands.tables.tables import make_console, say
from flows.words import count_words

COLUMNS = {"what": 14, "where": 22, "expected": 21, "got": 21, "next": 12}
"""Names in the document, and how wide each is at the least: 98 of 100 columns with the gaps."""


def show_findings(document: dict[str, Any], *, command: str) -> None:
    """The findings as a table and what to type next, or that there are none."""
    out = make_console()
    if not document["findings"]:
        chunks = f", {count_words(document['chunks'], 'chunk')}" if document["chunks"] else ""
        if document["chunks_remade"]:
            chunks += f", {document['chunks_remade']} of them made again,"
        say(
            out,
            f"{document['film']}: good, {count_words(document['frames'], 'frame')}{chunks} checked",
        )
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, width in COLUMNS.items():
        head = {"got": "found", "next": "next step"}.get(name, name)
        table.add_column(head, overflow="fold", max_width=width)
    for finding in document["findings"]:
        table.add_row(*(str(finding[name]) for name in COLUMNS))
    out.print(table)
    repair = f"douga verify {command} --repair && " if document["objects"] else ""
    say(out, f"next: {repair}douga render {command}")
