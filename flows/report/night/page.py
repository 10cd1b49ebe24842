"""The page of a night: what needs a person, the worst frames, plots over the nights, every shot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from flows.report.night.attachments import Attachments
from flows.report.night.objects import Objects
from flows.report.night.pictures import data_uri
from flows.report.night.trends import NIGHTS_SHOWN, make_plots, totals, wall_s
from flows.report.night.words import UNITS, regression_words
from flows.report.page import render
from flows.runs.night import Night, NightEpisode, NightShot, Regression
from flows.runs.outcome import Outcome

THUMBNAIL, FRAME = 160, 480
"""Widths in pixels of pictures in the page."""
THUMBNAILS, PAIRS = 1500, 24
"""Pictures at the most: about 4 kB and 2 x 25 kB each, so that the page stays under 10 MB."""
AT_ONCE = 16
"""Pictures on their way from the store."""
TROUBLES, LOG_LETTERS = 60, 20_000
"""Listed at the top, and of the log of each, at the most."""
OPEN_SHOTS = 60
"""Episodes of more shots, all of them good, are folded."""
Thumbnail = Callable[[NightEpisode, NightShot], str]
"""The `data:` URI of a shot's picture, empty where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A frame in the last good night and in this one."""

    episode: str
    shot: str
    line: str
    frame: int | None
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that a person should look at: of which episode and shot, what, and its log."""

    kind: str
    episode: str
    shot: str
    line: str
    log: str = ""


def render_page(
    night: Night,
    nights: Sequence[Night],
    *,
    objects: Objects,
    attachments: Attachments,
    currency: str,
    word: str = "Night",
    thumbnail: Thumbnail | None = None,
) -> str:
    """The page; `nights` are those to plot, in any order, `night` among them or not. `word` is what
    it calls one of them."""
    known = {each.night: each for each in [*nights, night]}
    shown = sorted(known.values(), key=lambda each: (each.began_at, each.night))[-NIGHTS_SHOWN:]
    rows = [totals(each) for each in shown]
    troubles = list(_troubles(night, attachments))
    return render(
        "night/page.html.j2",
        night=night,
        word=word,
        now=totals(night),
        rows=list(reversed(rows)),
        plots=make_plots(rows, currency=currency) if len(rows) > 1 else [],
        wall=wall_s(night),
        sums=_sums(night),
        currency=currency,
        troubles=troubles[:TROUBLES],
        troubles_left=max(0, len(troubles) - TROUBLES),
        pairs=_pairs(night, objects),
        pairs_left=max(0, len(_framed(night)) - PAIRS),
        thumbnails=_thumbnails(night, thumbnail or _stored_thumbnail(objects)),
        columns=_columns(night),
        is_open=lambda episode: _is_bad(episode) or len(episode.shots) <= OPEN_SHOTS,
        regression_words=regression_words,
    )


def _sums(night: Night) -> dict[str, float]:
    episodes = night.episodes
    shots = [shot for episode in episodes for shot in episode.shots]
    return {
        "episodes": len(episodes),
        "done": sum(episode.state is Outcome.DONE for episode in episodes),
        "shots": len(shots),
        "failed": sum(shot.state == "failed" for shot in shots),
        "regressed": sum(bool(shot.regressions) for shot in shots),
        "frames": sum(shot.frames for shot in shots),
        "gpu_hours": sum(episode.gpu_hours for episode in episodes),
        "cpu_hours": sum(episode.cpu_hours for episode in episodes),
        "busy_s": sum(shot.seconds for shot in shots),
        "money": sum(episode.money for episode in episodes),
        "computed": sum(episode.computed for episode in episodes),
        "reused": sum(episode.reused for episode in episodes),
    }


def _columns(night: Night) -> dict[str, bool]:
    """Which columns of the shots' tables say anything at all."""
    shots = [shot for episode in night.episodes for shot in episode.shots]
    return {
        "psnr": any(shot.psnr is not None for shot in shots),
        "ssim": any(shot.ssim is not None for shot in shots),
        "flicker": any(shot.flicker is not None for shot in shots),
        "loudness": any(shot.loudness is not None for shot in shots),
        "money": any(shot.money for shot in shots),
    }


def _is_bad(episode: NightEpisode) -> bool:
    return episode.state is not Outcome.DONE or episode.regressed


def _troubles(night: Night, attachments: Attachments) -> Iterator[Trouble]:
    """What failed, then what regressed, then what was not done."""
    found: list[tuple[int, Trouble]] = []
    for episode in night.episodes:
        name = episode.episode
        for shot in episode.shots:
            log = attachments.of(name, shot.id).log_text[:LOG_LETTERS]
            if shot.state == "failed" or shot.error:
                line = shot.error or "failed"
                if shot.frame is not None and f"frame {shot.frame}" not in line:
                    line = f"frame {shot.frame}: {line}"
                found.append((0, _trouble("failed", name, shot.id, line, log)))
            elif shot.regressions:
                line = regression_words(shot.regressions)
                found.append((2, _trouble("regressed", name, shot.id, line)))
        said = episode.state is Outcome.FAILED and any(s.state == "failed" for s in episode.shots)
        if episode.state is not Outcome.DONE and not said:
            rank = {Outcome.FAILED: 0, Outcome.WANTING: 1}.get(episode.state, 3)
            line = episode.why or episode.state.words
            found.append((rank, _trouble(episode.state.words, name, "", line)))
        if episode.regressions:
            line = regression_words(episode.regressions)
            found.append((2, _trouble("regressed", name, "", line)))
    yield from (trouble for _, trouble in sorted(found, key=lambda each: each[0]))


def _trouble(kind: str, episode: str, shot: str, line: str, log: str = "") -> Trouble:
    return Trouble(kind=kind, episode=episode, shot=shot, line=line, log=log)


def _framed(night: Night) -> list[tuple[NightEpisode, NightShot, Regression]]:
    """Regressions that show a frame, one of each shot and frame, the worst first."""
    found: dict[tuple[str, str, int | None], tuple[NightEpisode, NightShot, Regression]] = {}
    for episode in night.episodes:
        for shot in episode.shots:
            for each in shot.regressions:
                if each.before or each.after:
                    found.setdefault((episode.episode, shot.id, each.frame), (episode, shot, each))
    order = list(UNITS)
    return sorted(
        found.values(), key=lambda it: (order.index(it[2].measure), it[2].now - it[2].limit)
    )


def _pairs(night: Night, objects: Objects) -> list[Pair]:
    return [
        Pair(
            episode=episode.episode,
            shot=shot.id,
            line=regression_words([each]),
            frame=each.frame,
            before=data_uri(objects.get(each.before, episode), width=FRAME, quality=85),
            after=data_uri(objects.get(each.after, episode), width=FRAME, quality=85),
        )
        for episode, shot, each in _framed(night)[:PAIRS]
    ]


def _stored_thumbnail(objects: Objects) -> Thumbnail:
    def uri(episode: NightEpisode, shot: NightShot) -> str:
        return data_uri(objects.get(shot.thumbnail, episode), width=THUMBNAIL, quality=70)

    return uri


def _thumbnails(night: Night, thumbnail: Thumbnail) -> dict[tuple[str, str], str]:
    """The shots' pictures, those of shots in trouble first, as far as there is room."""
    shots: list[tuple[bool, tuple[NightEpisode, NightShot]]] = []
    for episode in night.episodes:
        for shot in episode.shots:
            good = shot.state != "failed" and not shot.regressions
            shots.append((good, (episode, shot)))
    shots.sort(key=lambda each: each[0])
    chosen = [pair for _, pair in shots[:THUMBNAILS]]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        uris = list(threads.map(lambda pair: thumbnail(*pair), chosen))
    pairs = zip(chosen, uris, strict=True)
    return {(episode.episode, shot.id): uri for (episode, shot), uri in pairs if uri}
