"""What `douga wait` says of a run or a night."""

from __future__ import annotations

from typing import Any

from flows.commands.tables.tables import make_console, make_table
from flows.runs.state import Seen


def show_seen(seen: Seen) -> None:
    """Its shots or its episodes, then a line that says how it stands."""
    console = make_console()
    if rows := seen.document.get("episodes"):
        table = make_table("episode", "state", "shots", "seconds", "why")
        for each in rows:
            table.add_row(*_texts(each["episode"], each["state"], len(each["shots"])), *_why(each))
        console.print(table)
    elif rows := seen.document.get("shots"):
        table = make_table("shot", "out", "chunks", "made", "reused", "seconds", "state")
        for each in rows:
            numbers = (each[name] for name in ("frames", "chunks", "computed", "reused"))
            seconds = f"{each['seconds']:.1f}"
            table.add_row(*_texts(each["id"], *numbers, seconds, each["state"]))
        console.print(table)
    line = f"{seen.name} {seen.run}: {seen.state}"
    console.print(line, soft_wrap=True, markup=False, highlight=False)
    if seen.document.get("film"):
        film = f"film: {seen.document['film']}"
        console.print(film, soft_wrap=True, markup=False, highlight=False)


def _why(episode: dict[str, Any]) -> tuple[Any, ...]:
    from rich.text import Text

    return f"{episode['wall_s']:.1f}", Text(episode["why"])


def _texts(*values: Any) -> list[Any]:
    """Cells in which nothing is markup."""
    from rich.text import Text

    return [Text(str(value)) for value in values]
