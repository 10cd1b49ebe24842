"""What `douga gc` says to people: every object that would go, or what went, and what stays."""

from __future__ import annotations

from typing import Any

from flows.commands.tables.tables import make_console, make_table, say
from flows.words import size_words

NOTHING = {"objects": 0, "bytes": 0}


def show_gc(document: dict[str, Any]) -> None:
    """With `--dry-run` each object that would go, with its size and why; then a line per kind."""
    console = make_console()
    if document["dry_run"]:
        for removal in document["removed"]:
            size = size_words(removal["size_bytes"])
            say(console, f"{size:>9}  {removal['name']}  ({removal['why']})")
    goes = "would go" if document["dry_run"] else "gone"
    table = make_table(("kind", "kept>", "size>", f"{goes}>", "size>"))
    for kind in sorted({*document["kept"], *document["gone"]}):
        kept, gone = (document[name].get(kind, NOTHING) for name in ("kept", "gone"))
        table.add_row(
            kind,
            *(str(kept["objects"]), size_words(kept["bytes"])),
            *(str(gone["objects"]), size_words(gone["bytes"])),
        )
    console.print(table)
    say(
        console,
        f"{document['store']}: {document['removed_objects']} objects "
        f"({size_words(document['removed_bytes'])}) {goes}, {document['kept_objects']} "
        f"({size_words(document['kept_bytes'])}) kept; nothing younger than "
        f"{document['grace_h']:g} h is touched",
    )
