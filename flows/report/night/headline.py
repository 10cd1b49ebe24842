"""A night in a line: what a person or a log must read first."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.errors import Exit
from flows.runs.night import Night, NightEpisode, Regression
from flows.runs.outcome import Outcome

UNITS = {
    "psnr": " dB",
    "ssim": "",
    "flicker": " codes",
    "loudness": " LUFS",
    "duration": " s",
    "seconds": " s",
    "money": "",
}
NAMED = 5


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
            lines.append(f"{outcome.words}: {_few([_named(each) for each in chosen])}")
        regressed = [each for each in night.episodes if each.regressed]
        if regressed and outcome is Outcome.WANTING:
            lines.append(f"regressed: {_few([_regressed(each) for each in regressed])}")
    return f"{_counted(night)}; {'; '.join(lines)}"


def regression_words(regression: Regression) -> str:
    """`psnr 24.9 dB in frame 7, limit 36 dB (was 99)`."""
    unit = UNITS[regression.measure]
    where = "" if regression.frame is None else f" in frame {regression.frame}"
    return (
        f"{regression.measure} {_short(regression.now)}{unit}{where}, "
        f"limit {_short(regression.limit)}{unit} (was {_short(regression.was)})"
    )


def _named(episode: NightEpisode) -> str:
    return f"{episode.episode} ({episode.why})" if episode.why else episode.episode


def _regressed(episode: NightEpisode) -> str:
    shots = [shot.id for shot in episode.shots if shot.regressions]
    parts = (["film"] if episode.regressions else []) + shots
    return f"{episode.episode} {' '.join(parts[:NAMED])}{' …' if len(parts) > NAMED else ''}"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _counted(night: Night) -> str:
    done = sum(each.state is Outcome.DONE for each in night.episodes)
    return f"{done} of {len(night.episodes)} episodes done"


def _short(value: float) -> str:
    return f"{value:.4g}"
