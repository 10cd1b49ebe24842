"""What `douga gc` says to people: every object that would go, or what went, and what stays."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from flows.commands.tables.tables import make_console

NOTHING = {"objects": 0, "bytes": 0}


def show_gc(document: dict[str, Any]) -> None:
    """With `--dry-run` each object that would go, with its size and why; then a line per kind."""
    console = make_console()
    if document["dry_run"]:
        for removal in document["removed"]:
            console.print(
                f"{size(removal['size_bytes']):>9}  {removal['name']}  ({removal['why']})",
                soft_wrap=True,
                markup=False,
                highlight=False,
            )
    goes = "would go" if document["dry_run"] else "gone"
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("kind")
    for column in ("kept", "size", goes, "size"):
        table.add_column(column, justify="right")
    for kind in sorted({*document["kept"], *document["gone"]}):
        kept, gone = (document[name].get(kind, NOTHING) for name in ("kept", "gone"))
        table.add_row(
            kind,
            *(str(kept["objects"]), size(kept["bytes"])),
            *(str(gone["objects"]), size(gone["bytes"])),
        )
    console.print(table)
    console.print(
        f"{document['store']}: {document['removed_objects']} objects "
        f"({size(document['removed_bytes'])}) {goes}, {document['kept_objects']} "
        f"({size(document['kept_bytes'])}) kept; nothing younger than {document['grace_h']:g} h "
        "is touched",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def size(count: int) -> str:
    """Bytes as a person reads them."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
