"""A single run as a night of one episode, so that one page and one JUnit serve both."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flows.runs.night import Night, NightEpisode, NightShot
from flows.runs.outcome import Outcome
from flows.runs.state import RUNNING


def night_of_run(document: Mapping[str, Any]) -> Night:
    """The night of a run's record (`flows.runs`); its nightly is the episode, its night the run.

    KeyError, TypeError or ValueError where the document is no run's.
    """
    outcome = _outcome(str(document.get("state", "done")))
    shots = tuple(_shot(shot) for shot in document["shots"])
    began, ended = str(document.get("began_at", "")), str(document.get("ended_at", ""))
    episode = NightEpisode(
        episode=str(document["episode"]),
        show="",
        state=outcome,
        why=_why(outcome, document),
        run=str(document["run"]),
        film=str(document["film"] or ""),
        store=str(document["store"]),
        wall_s=float(document["wall_s"]),
        computed=int(document["chunks_computed"]),
        reused=int(document["chunks_reused"]),
        shots=shots,
    )
    return Night(
        nightly=episode.episode,
        night=episode.run,
        began_at=began or _began_at(episode.run),
        ended_at=ended,
        episodes=(episode,),
    )


def _outcome(state: str) -> Outcome:
    """By the run's state; one that was refused has made nothing of what was asked for."""
    outcome = Outcome.STOPPED if state == RUNNING else Outcome(state)
    return Outcome.FAILED if outcome is Outcome.LEFT_OUT else outcome


def _why(outcome: Outcome, document: Mapping[str, Any]) -> str:
    if document.get("state") == RUNNING:
        return "still running"
    if outcome is Outcome.WANTING:
        return "; ".join(document["findings"])
    if outcome is Outcome.DONE:
        return ""
    return str(document.get("error") or "") or "; ".join(document["waiting"]) or outcome.words


def _shot(line: Mapping[str, Any]) -> NightShot:
    return NightShot(
        id=str(line["id"]),
        state=str(line["state"]),
        frames=int(line["frames"]),
        seconds=float(line["seconds"]),
        money=0.0,
        chunks=int(line["chunks"]),
        computed=int(line["computed"]),
        error=str(line.get("error", "")),
        failure=str(line.get("failure", "")),
        frame=line.get("frame"),
    )


def _began_at(run: str) -> str:
    """When a run without a record began, by its name."""
    try:
        return datetime.strptime(f"{run[:15]}+0000", "%Y%m%dT%H%M%S%z").isoformat()
    except ValueError:
        return ""
