"""A report on what a store says of a time."""

from __future__ import annotations

from datetime import UTC, datetime

from cluster.store.open import open_store
from flows.report.usage.compute import compute_report
from flows.report.usage.facts import gather_facts
from flows.report.usage.figures import Report
from flows.report.usage.period import parse_period


def make_report(
    store: str, *, since: str, until: str = "", episode: str = "", now: datetime | None = None
) -> Report:
    """The report that `douga report` prints; of one episode if named. Writes nothing.

    UsageError for a time that cannot be read, StoreError for a store that cannot.
    """
    begin, end = parse_period(since, until, now=now or datetime.now(UTC))
    facts = gather_facts(open_store(store), since=begin, until=end, episode=episode)
    return compute_report(facts, episode=episode)
