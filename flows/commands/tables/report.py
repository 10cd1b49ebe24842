"""What `douga report` and `douga ledger` say to people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.commands.tables.tables import make_console, make_table, say
from flows.report.usage.figures import Report
from flows.report.usage.words import cost_words, film_words, period_words
from flows.words import duration_words, number_words, percent_words

STAGES, EPISODES, SHOTS, FAILURES = 10, 20, 10, 5
"""Rows shown at the most; the page and `--json` have all."""


def show_report(report: Report, page: str) -> None:
    """The figures in lines, then stages, episodes, shots sent back and the last failures."""
    console = make_console()
    episode = f", {report.episode}" if report.episode else ""
    say(console, f"{period_words(report)}{episode}, {report.store}")
    if report.totals.runs:
        console.print(_figures(report))
    else:
        say(console, "nothing was rendered in this time; name an earlier --since, such as all")
    _show_stages(console, report)
    _show_episodes(console, report)
    _print(
        console,
        ("sent back", "times>", "last", "note"),
        [
            (f"{row.episode}/{row.shot}", str(row.retakes), row.last_at[:10], row.note)
            for row in report.retaken
        ],
        most=SHOTS,
    )
    _print(
        console,
        ("failed", "in run", "why"),
        [(f"{row.episode}/{row.shot}", row.run, row.error) for row in reversed(report.failures)],
        most=FAILURES,
    )
    if page:
        say(console, f"\nthe page: {page}")


def show_compaction(document: dict[str, Any]) -> None:
    """What a compaction came to."""
    console = make_console()
    would = "would become" if document["dry_run"] else "are now"
    say(
        console,
        f"{document['store']}: {document['rows']:,} receipts; {document['objects_before']:,} "
        f"objects {would} {document['objects_after']:,}",
    )
    if document["left"]:
        say(
            console,
            f"{document['left']:,} of them are replaced and not removed: {document['why_left']}",
        )


def _figures(report: Report) -> Table:
    totals = report.totals
    on_gpu = totals.gpu_idle_share is not None
    chunks = totals.chunks_reused + totals.chunks_computed
    film = f"{film_words(totals.film_minutes)} of film" if totals.film_minutes else "no film"
    table = Table.grid(padding=(0, 2))
    for name, value, about in (
        ("a minute of film", cost_words(report, totals.per_film_minute), f"{film} came out"),
        (
            "spent",
            cost_words(report, totals.cost),
            f"{duration_words(totals.cost.gpu_hours * 3600)} of GPUs, "
            f"{duration_words(totals.cost.cpu_hours * 3600)} of CPU cores",
        ),
        (
            "reused",
            percent_words(totals.cache_hit_rate),
            f"{totals.chunks_reused:,} of {chunks:,} chunks were in the store",
        ),
        (
            "GPUs idle" if on_gpu else "workers idle",
            percent_words(totals.gpu_idle_share if on_gpu else totals.cpu_idle_share),
            "of the time that runs held them" + ("" if on_gpu else "; no GPU was used"),
        ),
        (
            "retakes per shot",
            number_words(totals.retakes_per_shot, 2),
            f"{totals.retakes} on {totals.shots:,} shots",
        ),
        (
            "failed shots",
            str(totals.failed_shots),
            f"{totals.retries} attempts that succeeded on retry, in {totals.runs} "
            f"{'run' if totals.runs == 1 else 'runs'}",
        ),
    ):
        table.add_row(name, Text(value, style="bold"), Text(about, style="dim"))
    return table


def _show_stages(console: Console, report: Report) -> None:
    _print(
        console,
        ("stage", "on", "busy>", "share>", "items>", "a frame>", "p50>", "p90>", "retries>"),
        [
            (
                *(row.stage, row.device, duration_words(row.hours * 3600)),
                *(percent_words(row.share), f"{row.items:,}"),
                *map(duration_words, (row.frame_s, row.p50_s, row.p90_s)),
                str(row.retries or ""),
            )
            for row in report.stages
        ],
        most=STAGES,
    )


def _show_episodes(console: Console, report: Report) -> None:
    _print(
        console,
        ("episode", "runs>", "film>", "spent>", "a minute>", "reused>", "retakes>", "failed>"),
        [
            (
                *(row.episode, str(row.runs), film_words(row.film_minutes)),
                *(cost_words(report, row.cost), cost_words(report, row.per_film_minute)),
                *(percent_words(row.cache_hit_rate), str(row.retakes or "")),
                str(row.failed_shots or ""),
            )
            for row in report.episodes
        ],
        most=EPISODES,
    )


def _print(
    console: Console, columns: Sequence[str], rows: Sequence[Iterable[str]], *, most: int
) -> None:
    """A table after an empty line, none for no rows."""
    if not rows:
        return
    say(console, "")
    console.print(make_table(columns, rows[:most]))
    if len(rows) > most:
        say(console, f"and {len(rows) - most} more")
