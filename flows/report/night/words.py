"""A night and its regressions in words: what a person or a log must read first."""

from __future__ import annotations

from collections.abc import Iterable

from cluster.errors import Exit
from flows.runs.night import Measure, Night, NightEpisode, Regression
from flows.runs.outcome import Outcome
from flows.words import NAMED, few_words, number_words

UNITS: dict[Measure, tuple[str, str, int]] = {
    "psnr": ("PSNR", " dB", 1),
    "ssim": ("SSIM", "", 4),
    "flicker": ("flicker", "", 3),
    "loudness": ("loudness", " LUFS", 1),
    "duration": ("duration", " s", 3),
    "seconds": ("render time", " s", 1),
    "money": ("cost", "", 2),
}
"""What a measure is called, its unit, and its digits behind the point."""


def night_words(night: Night, code: Exit) -> str:
    """Why a night ended with this exit code; empty where it was good."""
    if code is Exit.TIMEOUT:
        return f"the time given was over; {_counted(night)}"
    if code is Exit.INTERRUPTED:
        return f"stopped; {_counted(night)}"
    if code is Exit.GOOD:
        return ""
    lines: list[str] = []
    for outcome in Outcome:
        chosen = [each for each in night.episodes if each.state is outcome]
        if chosen and outcome is not Outcome.DONE:
            lines.append(f"{outcome.words}: {few_words([_named(each) for each in chosen])}")
        regressed = [each for each in night.episodes if each.regressed]
        if regressed and outcome is Outcome.WANTING:
            lines.append(f"regressed: {few_words([_regressed(each) for each in regressed])}")
    return f"{_counted(night)}; {'; '.join(lines)}"


def regression_words(regressions: Iterable[Regression]) -> str:
    """Regressions in a sentence: `PSNR 24.9 dB at frame 7, was 99.0 dB, limit 36.0 dB`."""
    return "; ".join(map(_regression, regressions))


def _regression(regression: Regression) -> str:
    called, unit, digits = UNITS[regression.measure]
    now, was, limit = (
        f"{number_words(value, digits)}{unit}"
        for value in (regression.now, regression.was, regression.limit)
    )
    at = "" if regression.frame is None else f" at frame {regression.frame}"
    return f"{called} {now}{at}, was {was}, limit {limit}"


def _named(episode: NightEpisode) -> str:
    return f"{episode.episode} ({episode.why})" if episode.why else episode.episode


def _regressed(episode: NightEpisode) -> str:
    shots = [shot.id for shot in episode.shots if shot.regressions]
    parts = (["film"] if episode.regressions else []) + shots
    return f"{episode.episode} {' '.join(parts[:NAMED])}{' …' if len(parts) > NAMED else ''}"


def _counted(night: Night) -> str:
    done = sum(each.state is Outcome.DONE for each in night.episodes)
    return f"{done} of {len(night.episodes)} episodes done"
