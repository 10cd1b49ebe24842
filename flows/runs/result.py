"""What a render came to: the numbers that `--json` promises, and the words for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from cluster.errors import RefusedError, ShotsFailed
from flows.plan.plan import RenderPlan, ShotPlan
from flows.runs.outcome import Outcome
from flows.words import count_words, few_words


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotLine:
    """One shot of the table: source range, frames out, chunks made and reused, how it ended.

    `computed` counts partial chunks too; `frames_reused` are frames of
    the chunks made that were taken from partial chunks.
    `retries` are tries of its chunks and segment that failed and were made good. Of a shot that
    failed, `frame` is the one to blame, counted from its first, and `source_frame` the same in its
    source, None where no single one is known; `failure` is the object that says why.
    """

    id: str
    source: int
    start: int
    end: int
    frames: int
    chunks: int
    computed: int
    reused: int
    state: str
    seconds: float = 0.0
    frames_reused: int = 0
    error: str = ""
    retries: int = 0
    frame: int | None = None
    source_frame: int | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeResult:
    """`film` is None where shots are missing; `film_s` is for how long the frames out are shown.
    `wall_s` is the whole command, `render_s` from the first chunk handed out to the last segment
    stored, `compute_s` the sum of the workers' computing. `quarantined` are hosts that got no more
    work, each with why. `preview` is the small film of a run that made only that, its sheet
    beside it; `pictures` the contact sheet of the shots that wait for a person."""

    film: str | None
    episode: str
    run: str
    store: str
    shots: tuple[ShotLine, ...]
    frames_in: int
    frames_out: int
    chunks_computed: int
    chunks_reused: int
    wall_s: float
    render_s: float
    compute_s: float
    verified: bool
    sheet: str | None = None
    prefect: str | None = None
    waiting: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    retries: int = 0
    quarantined: tuple[str, ...] = ()
    frames_reused: int = 0
    film_s: float = 0.0
    preview: str | None = None
    pictures: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The document of `render --json`."""
        return asdict(self)

    @property
    def outcome(self) -> Outcome:
        """How the run ended; `DONE` too where all that was asked for makes no film yet."""
        if self.failed:
            return Outcome.FAILED
        if self.findings:
            return Outcome.WANTING
        return Outcome.WAITING if self.waiting else Outcome.DONE

    @property
    def state(self) -> str:
        """How the run ended, in the word of its record."""
        in_part = self.outcome is Outcome.DONE and not self.film
        return "in part" if in_part else self.outcome.recorded

    @property
    def failed(self) -> tuple[ShotLine, ...]:
        """The shots that failed."""
        return tuple(shot for shot in self.shots if shot.state == "failed")


def shots_failed(result: EpisodeResult, command: str) -> ShotsFailed:
    """The error that a run with failed shots ends with."""
    names = ", ".join(shot.id for shot in result.failed)
    done = sum(shot.state in ("rendered", "stored") for shot in result.shots)
    first = result.failed[0]
    kept = f" (traceback in the store: {first.failure})" if first.failure else ""
    failed = count_words(len(result.failed), "shot")
    return ShotsFailed(
        f"{failed} failed ({names}), {done} done and kept: {first.error}{kept}",
        remedy=f"mend it and run the same again, only these are rendered: {command}",
    )


def waits_for_review(result: EpisodeResult, command: str = "") -> RefusedError:
    """What a run ends with whose shots wait for a person."""
    few = few_words(result.waiting)
    if result.preview is not None:
        return RefusedError(
            f"the preview waits for review: {few}",
            where=result.episode,
            remedy=f"watch {result.preview}, then douga approve (or retake) and the same again, "
            f"which renders whole what is approved{': ' + command if command else ''}",
        )
    return RefusedError(
        f"every shot is rendered; the film waits for review: {few}",
        where=result.episode,
        remedy=f"look at {result.pictures or 'them'}, then douga approve or douga retake, "
        f"and the same again{': ' + command if command else ''}",
    )


def part_state(plan: RenderPlan, shot: ShotPlan, *, made: bool) -> str:
    """The state of a shot that is not asked for whole."""
    if not plan.selection.frames_of(shot.shot.id):
        return "not asked for"
    if plan.todo(shot):
        return "frames to make"
    return "frames rendered" if made else "frames stored"


def reason_for(plan: RenderPlan, shot: ShotPlan, *, seen_before: bool) -> str:
    """Why a shot is to be rendered, or that it is not."""
    todo = len(plan.todo(shot))
    if plan.is_done(shot):
        return "stored"
    if todo == 0:
        return "frames stored, segment to encode"
    if todo < sum(1 for _ in shot.items()):
        return "changed in part" if seen_before else "begun, not finished"
    return "changed" if seen_before else "new"
