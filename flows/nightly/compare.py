"""What of a shot or film has gone past its threshold against the last good night. Pure."""

from __future__ import annotations

from collections.abc import Callable

from flows.nightly.spec import Thresholds
from flows.runs.night import Measure, NightEpisode, NightShot, Regression
from tasks.metrics.film_quality import Measured, Worst
from tasks.metrics.loudness import SILENCE_LUFS, louder

PutPng = Callable[[bytes], str]
"""Keeps a picture and gives its name."""


def compare_shot(
    now: NightShot,
    was: NightShot | None,
    *,
    timed: NightShot | None,
    measured: Measured | None,
    limits: Thresholds,
    put_png: PutPng,
) -> tuple[Regression, ...]:
    """The regressions of a shot against the same shot `was`, its pictures `measured` beside those
    (None: the same), its time and cost against `timed`."""
    found: list[Regression] = []
    if measured is not None:
        found += _pictures(measured, limits, put_png)
    if was is not None:
        found += _lengths(now.duration_s, was.duration_s, limits)
        if now.loudness is not None and was.loudness is not None:
            found += _loudness(now.loudness, was.loudness, limits)
    if timed is not None and 0 < now.chunks == now.computed:
        found += _spending(now, timed, limits)
    return tuple(found)


def compare_film(
    now: NightEpisode, was: NightEpisode, *, limits: Thresholds
) -> tuple[Regression, ...]:
    """The regressions of a film as a whole: how long it is, and how loud."""
    if not (now.film and was.film):
        return ()
    return (
        *_lengths(now.duration_s, was.duration_s, limits),
        *_loudness(now.loudness, was.loudness, limits),
    )


def _pictures(measured: Measured, limits: Thresholds, put_png: PutPng) -> list[Regression]:
    found: list[Regression] = []

    def blame(measure: Measure, worst: Worst, limit: float) -> None:
        found.append(
            Regression(
                measure=measure,
                was=round(worst.was, 4),
                now=round(worst.now, 4),
                limit=limit,
                frame=worst.frame,
                before=put_png(worst.before),
                after=put_png(worst.after),
            )
        )

    db, alike, rise = measured.psnr, measured.ssim, measured.flicker_rise
    if db is not None and limits.psnr_db is not None and db.now < limits.psnr_db:
        blame("psnr", db, limits.psnr_db)
    if alike is not None and limits.ssim is not None and alike.now < limits.ssim:
        blame("ssim", alike, limits.ssim)
    if rise is not None and limits.flicker is not None and rise.now - rise.was > limits.flicker:
        blame("flicker", rise, round(rise.was + limits.flicker, 4))
    return found


def _lengths(now_s: float, was_s: float, limits: Thresholds) -> list[Regression]:
    if limits.duration_ms is None or abs(now_s - was_s) * 1000 <= limits.duration_ms:
        return []
    sign = 1 if now_s > was_s else -1
    limit = was_s + sign * limits.duration_ms / 1000
    return [Regression(measure="duration", was=was_s, now=now_s, limit=round(limit, 6))]


def _loudness(now: float | None, was: float | None, limits: Thresholds) -> list[Regression]:
    rise = louder(now, was)
    if limits.loudness_lu is None or abs(rise) <= limits.loudness_lu:
        return []
    then = SILENCE_LUFS if was is None else was
    limit = then + (limits.loudness_lu if rise > 0 else -limits.loudness_lu)
    return [
        Regression(
            measure="loudness",
            was=then,
            now=SILENCE_LUFS if now is None else now,
            limit=round(limit, 3),
        )
    ]


def _spending(now: NightShot, timed: NightShot, limits: Thresholds) -> list[Regression]:
    """Time and cost per frame, as if the shot had had as many frames then."""
    scale = now.frames / timed.frames if timed.frames else 1.0
    found: list[Regression] = []
    for measure, value, before, ratio, least in (
        ("seconds", now.seconds, timed.seconds * scale, limits.seconds, limits.seconds_least),
        ("money", now.money, timed.money * scale, limits.money, limits.money_least),
    ):
        if ratio is None or not before:
            continue
        if value > before * ratio and value - before >= least:
            found.append(
                Regression(
                    measure="seconds" if measure == "seconds" else "money",
                    was=round(before, 4),
                    now=round(value, 4),
                    limit=round(before * ratio, 4),
                )
            )
    return found
