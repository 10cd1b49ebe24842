"""What a night came to, as GitHub's runner reads it: annotations, and a job summary. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from flows.notify.event import plain
from flows.report.night.words import regression_words
from flows.runs.night import Night, NightEpisode, NightShot
from flows.runs.outcome import Outcome

Level = Literal["error", "warning"]
SHOWN: dict[Level, int] = {"error": 10, "warning": 10}
"""GitHub shows as many of each in a step and drops the others in silence."""
ROWS_AT_MOST = 500
"""A job summary may hold 1 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """A line for a person: which shot or film, and what is the matter with it."""

    level: Level
    title: str
    message: str

    def __str__(self) -> str:
        """The workflow command."""
        return f"::{self.level} title={_in_property(self.title)}::{_in_data(self.message)}"


def annotate(night: Night) -> list[Annotation]:
    """Every shot and film that failed or regressed, then what was not done; as many as GitHub
    shows, the last one of each level saying how many more there are."""
    found = annotate_all(night)
    return [*_shown(found, "error"), *_shown(found, "warning")]


def summarize(night: Night) -> str:
    """The night as Markdown for `$GITHUB_STEP_SUMMARY`: a table of films, one of bad shots."""
    lines = [
        f"## {_cell(night.nightly)}, night {_cell(night.night)}",
        "",
        "| episode | state | shots | made | reused | why |",
        "|---|---|--:|--:|--:|---|",
    ]
    for episode in night.episodes[:ROWS_AT_MOST]:
        lines.append(
            f"| {_cell(episode.episode)} | {episode.state_words} | {len(episode.shots)} "
            f"| {episode.computed} | {episode.reused} | {_cell(episode.why)} |"
        )
    bad = [each for each in annotate_all(night) if each.level == "error"]
    if bad:
        lines += ["", "| to look at | |", "|---|---|"]
        lines += [f"| {_cell(a.title)} | {_cell(a.message)} |" for a in bad[:ROWS_AT_MOST]]
    return "\n".join(lines) + "\n"


def annotate_all(night: Night) -> list[Annotation]:
    """The annotations of a night, however many."""
    return [each for episode in night.episodes for each in _of_episode(episode)]


def _of_episode(episode: NightEpisode) -> Iterator[Annotation]:
    shots = [each for shot in episode.shots for each in _of_shot(episode, shot)]
    yield from shots
    why = episode.why or episode.state.words
    level = episode.state.level
    if level != "good" and not (episode.state is Outcome.FAILED and shots):
        yield _annotation(level, f"{episode.episode} {episode.state.words}", why)
    if episode.regressions:
        words = regression_words(episode.regressions)
        yield _annotation("error", f"{episode.episode} regressed", words)


def _of_shot(episode: NightEpisode, shot: NightShot) -> Iterator[Annotation]:
    name = f"{episode.episode}/{shot.id}"
    at = f" frame {shot.frame}" if shot.frame is not None else ""
    if shot.state == "failed" or shot.error:
        yield _annotation("error", f"{name}{at} failed", shot.error or "failed")
    elif shot.regressions:
        yield _annotation("error", f"{name} regressed", regression_words(shot.regressions))


def _annotation(level: Level, title: str, message: str) -> Annotation:
    return Annotation(level=level, title=plain(title), message=plain(message, at_most=1000))


def _shown(found: list[Annotation], level: Level) -> list[Annotation]:
    mine = [each for each in found if each.level == level]
    if len(mine) <= SHOWN[level]:
        return mine
    first, rest = mine[: SHOWN[level] - 1], mine[SHOWN[level] - 1 :]
    names = ", ".join(each.title for each in rest)
    return [*first, _annotation(level, f"and {len(rest)} more", names)]


def _in_data(text: str) -> str:
    """Text behind the second `::`, escaped as GitHub's runner undoes it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _in_property(text: str) -> str:
    """Text of a property such as `title`."""
    return _in_data(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    """Text in a Markdown table: no bar, tag or link comes of it."""
    text = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for letter in "\\`*_[]|~":
        text = text.replace(letter, f"\\{letter}")
    return text
