"""Why a shot failed: which frame, what was raised where, and the command that tries it again.

The whole of it, tracebacks too, is kept in the store as `failures/<episode>/<shot>/<run>.json`.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cluster.errors import DougaError
from cluster.settings import known_secrets
from cluster.store.base import Store
from cluster.store.records import read_if_whole, record_text
from flows.plan.plan import ShotPlan
from tasks.worker.item import SegmentItem, WorkItem

PREFIX = "failures/"
PACKAGES = ("douga", "numpy", "av", "opencv-python-headless", "pyarrow", "ray", "torch")
SECRET_LENGTH = 6
"""Shorter values are words like "off" that a text may hold anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A shot that failed in a run.

    `frame` is the frame to blame, counted from the shot's first, `source_frame` the same in its
    source; None where no single one is known. `source_frames` are those of the chunk, both ends
    included. `name` is the object that holds the tracebacks.
    """

    episode: str
    shot: str
    run: str
    stage: str
    frame: int | None
    source_frame: int | None
    source_frames: tuple[int, int]
    error: str
    command: str
    name: str
    at: str


def place_failure(
    shot: ShotPlan, item: WorkItem | SegmentItem | None, error: DougaError
) -> DougaError:
    """The error with the shot's frames in its place, as the source counts them too."""
    if item is None:
        return error
    first, last = source_frames(shot, item)
    frame = source_frame(shot, error.moment)
    if frame is not None:
        frames = f"frame {frame - shot.shot.start} (source frame {frame})"
    else:
        frames = f"frames {first - shot.shot.start}-{last - shot.shot.start}"
        frames += f" (source frames {first}-{last})"
    known = item.where
    if isinstance(item, WorkItem):
        known += f" frames {item.out.start}-{item.out.end - 1}"
    rest = error.where.removeprefix(known).removeprefix(": ")
    if rest in (f"{item.shot}/{item.where.rpartition('/')[2]}", item.where):
        rest = ""
    return error.placed(": ".join(filter(None, [f"{item.where} {frames}", rest])))


def source_frame(shot: ShotPlan, moment: Fraction | None) -> int | None:
    """The source's frame that is on screen at a moment of a shot."""
    if moment is None:
        return None
    track = shot.runs[0].items[0].track
    return shot.shot.start + track.frame_at(track.times[0] + moment)


def source_frames(shot: ShotPlan, item: WorkItem | SegmentItem) -> tuple[int, int]:
    """The first and last source frame that are shown while a chunk, or a whole segment, is."""
    if isinstance(item, SegmentItem):
        return shot.shot.start, shot.shot.end - 1
    track = next(run.track for run in shot.runs if run.makes(item))
    ends = (track.times[at] - track.times[0] for at in (item.out.start, item.out.end - 1))
    first, last = (source_frame(shot, moment) for moment in ends)
    assert first is not None
    assert last is not None
    return first, last


def make_failure(
    shot: ShotPlan,
    item: WorkItem | SegmentItem | None,
    error: DougaError,
    *,
    episode: str,
    run: str,
    command: str,
) -> Failure:
    """What is known of it; `error` is placed already."""
    whole = (shot.shot.start, shot.shot.end - 1)
    frame = source_frame(shot, error.moment) if item is not None else None
    return Failure(
        episode=episode,
        shot=shot.shot.id,
        run=run,
        stage=item.where.rpartition("/")[2] if item is not None else "",
        frame=None if frame is None else frame - shot.shot.start,
        source_frame=frame,
        source_frames=source_frames(shot, item) if item is not None else whole,
        error=str(error),
        command=command,
        name=f"{PREFIX}{episode}/{shot.shot.id}/{run}.json",
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def keep_failure(
    store: Store, failure: Failure, item: WorkItem | SegmentItem | None, error: DougaError
) -> None:
    """Put the failure with everything that helps to find its cause. No secret is in it."""
    document = {
        **asdict(failure),
        "key": str(item.key) if item is not None else "",
        "stages": _stages(item),
        "attempts": [asdict(attempt) for attempt in error.attempts],
        "versions": _versions(),
    }
    text = strike_secrets(record_text(document, indent=1, default=str))
    store.put(failure.name, text.encode())


def read_failures(store: Store, episode: str) -> dict[str, dict[str, Any]]:
    """The newest failure of each shot of an episode that ever failed, by shot: its fields, without
    the tracebacks, which `name` holds."""
    newest: dict[str, str] = {}
    for entry in store.list(f"{PREFIX}{episode}/"):
        shot = entry.name.split("/")[2]
        newest[shot] = max(newest.get(shot, ""), entry.name)
    then = "why that shot failed is not known"
    found = {s: read_if_whole(store, n, known_failure, then=then) for s, n in newest.items()}
    return {shot: kept for shot, kept in found.items() if kept is not None}


def known_failure(document: dict[str, Any]) -> dict[str, Any]:
    """The fields of a failure that was kept, by an earlier version perhaps; tracebacks aside."""
    for needed in ("episode", "shot", "run", "error", "at"):
        if not isinstance(document[needed], str):
            raise TypeError(f"{needed} is no text")
    return {each.name: document.get(each.name) for each in fields(Failure)}


def without_secrets(text: str, *, secrets: Collection[str]) -> str:
    """A text with secrets, and users and passwords in URLs, struck out."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***").replace(json.dumps(secret)[1:-1], "***")
    return re.sub(r"://[^/@\s\"']+@", "://***@", text)


def strike_secrets(text: str) -> str:
    """A text without the secrets that this process knows, and without those in URLs."""
    secrets = {secret for secret in known_secrets() if len(secret) >= SECRET_LENGTH}
    return without_secrets(text, secrets=secrets)


def _stages(item: WorkItem | SegmentItem | None) -> Sequence[dict[str, Any]]:
    """The stages that ran, with their parameters and the digests of their networks."""
    if not isinstance(item, WorkItem):
        return []
    return [
        {
            "stage": call.name,
            "params": dict(call.params),
            "model": call.make().card().model,
        }
        for call in item.calls
    ]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
