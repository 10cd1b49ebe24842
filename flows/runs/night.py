"""What a night came to, as it is kept in the store, reported and compared with the next one.

Plain data: `nights/NIGHTLY/NIGHT.json` in the store is `Night.to_json()`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from cluster.errors import Exit
from cluster.store.records import shape
from flows.runs.outcome import Outcome, worst

Measure = Literal["psnr", "ssim", "flicker", "loudness", "duration", "seconds", "money"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """A measure of a shot that went past its threshold against the last good night.

    `frame` is the worst one, counted in the film's shot from 0, None for measures of the whole
    shot; `before` and `after` are objects in the store: PNGs of that frame in the two nights.
    """

    measure: Measure
    was: float
    now: float
    limit: float
    frame: int | None = None
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NightShot:
    """A shot of a night. `seconds` are busy seconds of workers in the run that rendered it.

    `psnr` (dB, 99 for equal), `ssim` are of the frame furthest from the last good night's, None
    where there is none; `flicker` is the mean absolute change of luma (0..255) from frame to frame
    where the last good night's picture holds; `loudness` is in LUFS, None without sound;
    `thumbnail` is a PNG in the store; `failure` the object that says why it failed, `frame` the one
    to blame. `computed` of its `chunks` were made in this run.
    """

    id: str
    state: str
    frames: int
    seconds: float
    money: float
    segment: str = ""
    chunks: int = 0
    computed: int = 0
    duration_s: float = 0.0
    loudness: float | None = None
    psnr: float | None = None
    ssim: float | None = None
    flicker: float | None = None
    thumbnail: str = ""
    error: str = ""
    failure: str = ""
    frame: int | None = None
    regressions: tuple[Regression, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NightEpisode:
    """An episode of a night; `why` says why it was left out or how it failed.

    `compared` is the night that its film was held against, empty where there is no good one;
    `loudness` is integrated, in LUFS, None without sound; `duration_s` the film's.
    """

    episode: str
    show: str
    state: Outcome
    why: str = ""
    run: str = ""
    film: str = ""
    store: str = ""
    wall_s: float = 0.0
    gpu_hours: float = 0.0
    cpu_hours: float = 0.0
    money: float = 0.0
    loudness: float | None = None
    duration_s: float = 0.0
    computed: int = 0
    reused: int = 0
    compared: str = ""
    shots: tuple[NightShot, ...] = ()
    regressions: tuple[Regression, ...] = ()

    @property
    def regressed(self) -> bool:
        """Whether anything of it went past a threshold."""
        return bool(self.regressions) or any(shot.regressions for shot in self.shots)

    @property
    def outcome(self) -> Outcome:
        """Its state; one that regressed is no better than one that failed verification."""
        return worst([self.state, Outcome.WANTING if self.regressed else Outcome.DONE])

    @property
    def state_words(self) -> str:
        """How it ended, for people."""
        is_done = self.state is Outcome.DONE
        return "regressed" if is_done and self.regressed else self.state.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """All episodes of a night, in the order in which they were taken. Times are ISO 8601, UTC;
    `ended_at` is empty while the night goes on."""

    nightly: str
    night: str
    began_at: str
    ended_at: str
    episodes: tuple[NightEpisode, ...]

    @property
    def outcome(self) -> Outcome:
        """That of the worst episode."""
        return worst(episode.outcome for episode in self.episodes)

    @property
    def exit_code(self) -> Exit:
        """That of the worst episode; one that was stopped is as one that was left out."""
        outcome = self.outcome
        return Exit.REFUSED if outcome is Outcome.STOPPED else outcome.exit_code

    def to_json(self) -> dict[str, Any]:
        """The document of `report.json`."""
        return {**asdict(self), "exit_code": int(self.exit_code)}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Night:
        """The night that `to_json` wrote, here or in another version."""
        return shape(Night)(document)
