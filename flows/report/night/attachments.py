"""The files beside a report: why each shot failed, and the frames that a regression shows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.report.night.objects import Objects
from flows.report.night.words import regression_words
from flows.runs.night import Night, NightEpisode, NightShot, Regression

PNG = b"\x89PNG\r\n\x1a\n"
SLUG_LENGTH = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """What lies beside the report of a shot: its log, and the frames to look at, each as it is now,
    then as it was; the worst first."""

    log: Path | None = None
    log_text: str = ""
    frames: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Attachments:
    """By episode and shot; those of a film as a whole have the shot \"\"."""

    by_shot: Mapping[tuple[str, str], Attached] = field(default_factory=dict)

    def of(self, episode: str, shot: str = "") -> Attached:
        """Those of a shot, or of the film."""
        return self.by_shot.get((episode, shot), Attached())

    def paths(self) -> Iterator[Path]:
        """All files."""
        for attached in self.by_shot.values():
            yield from filter(None, (attached.log, *attached.frames))


def attach(night: Night, folder: Path, objects: Objects) -> Attachments:
    """Write `logs/EPISODE/SHOT.txt` and `frames/EPISODE/SHOT-….png` under a folder, for every shot
    and film that failed or regressed."""
    found: dict[tuple[str, str], Attached] = {}
    for episode in night.episodes:
        for shot in episode.shots:
            if shot.error or shot.failure or shot.regressions or shot.state == "failed":
                found[episode.episode, shot.id] = _attach_shot(episode, shot, folder, objects)
        if episode.why or episode.regressions:
            text = "\n".join([episode.why, *_lines(episode.regressions)]).strip()
            path = _write_log(folder, episode.episode, "film", text)
            found[episode.episode, ""] = Attached(log=path, log_text=text)
    return Attachments(found)


def file_slug(name: str) -> str:
    """A file name for any name at all: plain characters, and a digest where that lost something."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".")[:SLUG_LENGTH]
    if plain == name:
        return plain
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain}-{digest}" if plain else digest


def _lines(regressions: tuple[Regression, ...]) -> list[str]:
    return [regression_words([each]) for each in regressions]


def _attach_shot(
    episode: NightEpisode, shot: NightShot, folder: Path, objects: Objects
) -> Attached:
    text = log_text(shot, objects.failure(episode, shot))
    log = _write_log(folder, episode.episode, shot.id, text)
    frames = [
        path
        for regression in worst_first(shot.regressions)
        for when in ("after", "before")
        if (path := _write_frame(episode, shot, regression, when, folder, objects)) is not None
    ]
    return Attached(log=log, log_text=text, frames=tuple(dict.fromkeys(frames)))


def worst_first(regressions: tuple[Regression, ...]) -> list[Regression]:
    """Those that show a frame before the others."""
    return sorted(regressions, key=lambda each: not each.after)


def log_text(shot: NightShot, failure: Mapping[str, Any]) -> str:
    """Everything that is known of why a shot failed or regressed, tracebacks too."""
    lines = [shot.error or str(failure.get("error", ""))]
    lines += _lines(shot.regressions)
    if failure.get("stage"):
        lines.append(f"stage: {failure['stage']}")
    if failure.get("frame") is not None:
        lines.append(f"frame: {failure['frame']} (source frame {failure.get('source_frame')})")
    elif shot.frame is not None:
        lines.append(f"frame: {shot.frame}")
    if failure.get("command"):
        lines.append(f"again: {failure['command']}")
    attempts = failure.get("attempts")
    for number, attempt in enumerate(attempts if isinstance(attempts, list) else [], start=1):
        if isinstance(attempt, dict):
            where = f"worker {attempt.get('worker', '')} on {attempt.get('node', '')}"
            lines += ["", f"attempt {number}, {where}: {attempt.get('error', '')}"]
            lines.append(str(attempt.get("traceback", "")))
    if isinstance(versions := failure.get("versions"), dict):
        lines += ["", *(f"{name} {version}" for name, version in versions.items())]
    return "\n".join(lines).strip()


def _write_log(folder: Path, episode: str, shot: str, text: str) -> Path:
    path = folder / "logs" / file_slug(episode) / f"{file_slug(shot)}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n", encoding="utf-8", errors="replace")
    return path


def _write_frame(
    episode: NightEpisode,
    shot: NightShot,
    regression: Regression,
    when: str,
    folder: Path,
    objects: Objects,
) -> Path | None:
    name = regression.before if when == "before" else regression.after
    data = objects.get(name, episode)
    if data is None or not data.startswith(PNG):
        return None
    file = f"{file_slug(shot.id)}-frame{regression.frame or 0}-{when}.png"
    path = folder / "frames" / file_slug(episode.episode) / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
