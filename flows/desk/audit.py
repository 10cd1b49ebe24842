"""Who did what: decisions and runs from the stores, and what was done at this desk besides."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from flows.plan.decisions import Decision
from flows.runs.state import RunStatus

SHOWN = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that a person did: `at` in UTC (ISO 8601), `where` an episode or a shot of it."""

    at: str
    who: str
    what: str
    where: str = ""
    words: str = ""


class AuditLog:
    """What people do at this desk that no store records: logins, and renders that it starts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()

    def add(self, who: str, what: str, *, where: str = "", words: str = "") -> None:
        """Append an entry of this moment."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps(asdict(Entry(at=at, who=who, what=what, where=where, words=words)))
        with self._lock, self._file.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def read(self) -> list[Entry]:
        """The newest entries; a line that was cut short is left out."""
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines()[-SHOWN:]
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                found.append(Entry(**json.loads(line)))
            except (ValueError, TypeError):
                continue
        return found


def join_entries(
    entries: Iterable[Entry], decisions: Iterable[Decision], runs: Iterable[RunStatus]
) -> list[Entry]:
    """Everything in one list, the newest first."""
    found = list(entries)
    found += [
        Entry(
            at=decision.at,
            who=decision.by,
            what=decision.verdict,
            where=f"{decision.episode}/{decision.shot}",
            words=decision.note,
        )
        for decision in decisions
    ]
    found += [
        Entry(
            at=str(run.document.get("began_at") or ""),
            who=str(run.document.get("host") or ""),
            what="render",
            where=run.name,
            words=str(run.document.get("command") or ""),
        )
        for run in runs
    ]
    return sorted(found, key=lambda entry: entry.at, reverse=True)[:SHOWN]
