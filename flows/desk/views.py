"""What the pages show, as plain data. Pure: a page is tested without a server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flows.desk.shots import WAITING_RUN, Episode, Shot, State, Version
from flows.plan.decisions import Decision
from flows.runs.costs import priced
from flows.runs.night import Night, NightShot
from flows.runs.nights import PastNight
from flows.runs.state import RUNNING, RunStatus

LATE = timedelta(hours=24)
"""An episode that has waited longer than this for people stands out on the board."""
URGENCY = {
    "error": 0,
    "failed": 0,
    "died": 0,
    "failed verification": 0,
    WAITING_RUN: 1,
    RUNNING: 2,
}
"""The order of the board by a run's state; what is not named comes last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stretch of a progress bar, in percent of its width from `at` on."""

    state: State
    count: int
    at: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An episode on the board. `late`: it has waited for people for more than a day; `poster` is
    the segment whose picture stands for it: of the longest shot."""

    episode: Episode
    parts: tuple[Part, ...]
    done: int
    total: int
    late: bool
    poster: str
    hours: float
    money: float


def parts_of(episode: Episode, *, total: int = 0) -> tuple[Part, ...]:
    """The progress bar of an episode: what is finished on the left, what is to come behind it."""
    order = [State.APPROVED, State.RENDERED, State.WAITING, State.PREVIEW, State.RETAKE]
    order += [State.FAILED, State.RENDERING, State.PLANNED]
    counts = dict(episode.counts)
    known = sum(counts.values())
    if total > known:
        to_come = State.RENDERING if episode.live else State.PLANNED
        counts[to_come] = counts.get(to_come, 0) + total - known
    whole, at, parts = max(total, known, 1), 0.0, list[Part]()
    for state in order:
        if count := counts.get(state, 0):
            width = round(100 * count / whole, 3)
            parts.append(Part(state=state, count=count, at=at, width=width))
            at += width
    return tuple(parts)


def board(episodes: Iterable[Episode], *, now: datetime) -> list[Row]:
    """The episodes of all stores: those that need somebody first, then the newest."""
    rows = [_row(episode, now=now) for episode in episodes]
    rows.sort(key=lambda row: _moment(row.episode.run.document, "began_at"), reverse=True)
    return sorted(rows, key=lambda row: URGENCY.get(row.episode.run.state, 3))


def _row(episode: Episode, *, now: datetime) -> Row:
    document = episode.run.document
    total = max(len(episode.shots), int(document.get("shots_to_render") or 0))
    finished = (State.RENDERED, State.APPROVED, State.WAITING)
    ended = _moment(document, "ended_at")
    waits = episode.run.state == WAITING_RUN and bool(ended)
    hours = episode.compute_s / 3600
    return Row(
        episode=episode,
        parts=parts_of(episode, total=total),
        done=sum(shot.state in finished for shot in episode.shots),
        total=total,
        late=waits and now - datetime.fromisoformat(ended) > LATE,
        poster=max(episode.shots, key=_shown_frames).segment if episode.shots else "",
        hours=hours,
        money=priced(gpu_hours=0, cpu_hours=hours).money,
    )


def _shown_frames(shot: Shot) -> int:
    return shot.frames if shot.segment else 0


def _moment(document: dict[str, Any], name: str) -> str:
    return str(document.get(name) or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A shot that waits for a person, and why it comes where it does: `worst` is what a night
    measured of it, empty where nothing was."""

    episode: Episode
    shot: Shot
    worst: str = ""


def review_queue(
    episodes: Iterable[Episode], measured: dict[tuple[str, str], NightShot] | None = None
) -> list[Waiting]:
    """Every shot that waits for a person: those that a night measured to be worse than before
    first, then in film order, episode by episode."""
    known = measured or {}
    found = []
    for episode in episodes:
        for shot in episode.waits_for_people:
            night = known.get((episode.name, shot.id))
            regressed = night is not None and night.regressions and _is_of(night, shot)
            found.append(
                (
                    not regressed,
                    Waiting(
                        episode=episode,
                        shot=shot,
                        worst=_measures(night) if night and regressed else "",
                    ),
                )
            )
    return [waiting for _, waiting in sorted(found, key=lambda each: each[0])]


def _is_of(night: NightShot, shot: Shot) -> bool:
    return bool(shot.segment) and shot.segment in night.segment


def _measures(night: NightShot) -> str:
    return ", ".join(regression.measure for regression in night.regressions)


def neighbours(episode: Episode, shot: str) -> tuple[str, str]:
    """The shots before and after one in film order: what the arrow keys go to."""
    names = [each.id for each in episode.shots]
    at = names.index(shot)
    return (names[at - 1] if at else "", names[at + 1] if at + 1 < len(names) else "")


def next_waiting(queue: Sequence[Waiting], episode: Episode, shot: str) -> Waiting | None:
    """The shot to look at after a verdict: the next that waits, from the top again at the end."""
    here = [(each.episode.store, each.episode.name, each.shot.id) for each in queue]
    me = (episode.store, episode.name, shot)
    at = here.index(me) if me in here else -1
    others = [*queue[at + 1 :], *queue[: max(at, 0)]]
    return others[0] if others else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """A version of a shot that the player can show: `verdict` is what was decided on it."""

    key: str
    label: str
    at: str
    frames: int
    rate: tuple[int, int]
    verdict: str = ""


def takes(versions: Sequence[Version], decisions: Sequence[Decision]) -> list[Take]:
    """The versions of a shot, the newest first, with the newest verdict on each."""
    verdicts: dict[str, str] = {}
    for decision in decisions:  # the newest first
        verdicts.setdefault(decision.segment, decision.verdict)
    return [
        Take(
            key=version.key,
            label=f"v{len(versions) - at}",
            at=version.at,
            frames=version.frames,
            rate=(version.rate.numerator, version.rate.denominator),
            verdict=verdicts.get(version.key, ""),
        )
        for at, version in enumerate(versions)
    ]


def last_good(found: Sequence[Take]) -> str:
    """What to compare the newest version with: the newest earlier one that was approved, else the
    one before it; empty where there is none."""
    good = [take.key for take in found[1:] if take.verdict == "approved"]
    return good[0] if good else found[1].key if len(found) > 1 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a frame came from: its place in the source, the stages with versions, parameters and
    model digests, the chunk that holds it, the run and its command, and what people decided."""

    shot: str
    frame: int
    source_frame: int
    chunk: str
    segment: str
    run: str
    command: str
    host: str
    stages: tuple[dict[str, Any], ...]
    decisions: tuple[Decision, ...]


def provenance(
    version: Version, frame: int, run: RunStatus | None, decisions: Sequence[Decision]
) -> Provenance | None:
    """Where a frame of a shot comes from; None for a frame that it does not have."""
    if not 0 <= frame < version.frames:
        return None
    made_from = version.made_from if isinstance(version.made_from, dict) else {}
    stages = [stage for group in made_from.get("runs", ()) for stage in group]
    chunks = version.runs[-1]["chunks"] if version.runs else ()
    within = (c["name"] for c in chunks if c["span"][0] <= frame < c["span"][1])
    drawn = version.range[1] - version.range[0]
    document = run.document if run else {}
    return Provenance(
        shot=version.shot,
        frame=frame,
        source_frame=version.range[0] + (frame * drawn // version.frames),
        chunk=next(within, ""),
        segment=version.segment,
        run=version.run,
        command=str(document.get("command", "")),
        host=str(document.get("host", "")),
        stages=tuple(stages),
        decisions=tuple(each for each in decisions if each.segment == version.key),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NightRow:
    """A night of a nightly with what came of it, and how wide its bar is (percent)."""

    night: Night
    done: int
    failed: int
    regressed: int
    money: float
    hours: float
    accepted: bool
    bar: float


def nights(past: Sequence[PastNight]) -> list[NightRow]:
    """A nightly's nights, the newest first."""
    hours = [sum(e.gpu_hours + e.cpu_hours for e in each.night.episodes) for each in past]
    most = max([*hours, 1e-9])
    return [
        NightRow(
            night=each.night,
            done=sum(e.outcome == "done" for e in each.night.episodes),
            failed=sum(e.outcome == "failed" for e in each.night.episodes),
            regressed=sum(e.regressed for e in each.night.episodes),
            money=sum(e.money for e in each.night.episodes),
            hours=spent,
            accepted=bool(each.accepted),
            bar=round(100 * spent / most, 2),
        )
        for each, spent in zip(past, hours, strict=True)
    ]
