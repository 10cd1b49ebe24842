"""Events from what runs end with: a result, an error, a night. Pure."""

from __future__ import annotations

from cluster.errors import Interrupted, explained
from cluster.keys import make_key
from cluster.secrets import without_password
from flows.notify.event import NAMED_AT_MOST, About, Event, EventEpisode, EventShot, plain
from flows.report.night.words import regression_words
from flows.runs.night import Night, NightEpisode, NightShot
from flows.runs.outcome import Outcome
from flows.runs.result import EpisodeResult
from flows.words import count_words, few_words

ERROR_WORDS = {Outcome.LEFT_OUT: "was refused", Outcome.STOPPED: "was stopped"}
"""What an error did to a render or a night; the others `failed` or `failed verification`."""
COUNTED = {
    each: each.words if each is Outcome.WAITING else each.value
    for each in (Outcome.DONE, *(each for each in Outcome if each is not Outcome.DONE))
}
"""How an event's counts name the episodes of each outcome, in their order."""


def event_from_result(result: EpisodeResult, *, command: str = "") -> Event:
    """What a render came to; `command` is the one that does it again."""
    kind = result.outcome
    made = sum(shot.state in ("rendered", "stored") for shot in result.shots)
    counts = {
        "shots": len(result.shots),
        "shots done": made,
        "shots failed": len(result.failed),
        "shots waiting": len(result.waiting),
        "frames in": result.frames_in,
        "frames out": result.frames_out,
        "chunks computed": result.chunks_computed,
        "chunks reused": result.chunks_reused,
    }
    return Event(
        kind=kind,
        about="episode",
        name=plain(result.episode),
        text=plain(f"{result.episode} {_result_words(result, made)}"),
        run=result.run,
        id=_id("episode", result.episode, result.run, kind),
        counts=tuple(counts.items()),
        film=plain(result.film or ""),
        store=plain(without_password(result.store)),
        prefect=result.prefect or "",
        command=plain(command) if kind is not Outcome.DONE else "",
        failed=tuple(
            EventShot(
                episode=plain(result.episode),
                shot=plain(shot.id),
                error=plain(shot.error),
                frame=shot.frame,
                failure=plain(shot.failure),
            )
            for shot in result.failed[:NAMED_AT_MOST]
        ),
        waiting=tuple(map(plain, result.waiting[:NAMED_AT_MOST])),
        findings=tuple(map(plain, result.findings[:NAMED_AT_MOST])),
    )


def event_from_error(
    error: BaseException, *, name: str, about: About = "episode", command: str = ""
) -> Event:
    """What a render or a night was ended by before it came to a result."""
    kind = Outcome.of_error(error)
    why = str(explained(error))
    said = f"{ERROR_WORDS.get(kind, kind.words)}: {why}"
    if isinstance(error, KeyboardInterrupt | Interrupted):
        said = "was stopped; what was finished is kept"
    subject = f"nightly {name}" if about == "night" else name
    return Event(
        kind=kind,
        about=about,
        name=plain(name),
        text=plain(f"{subject} {said}"),
        command=plain(command),
    )


def event_from_night(night: Night, *, command: str = "", report: str = "") -> Event:
    """What a night came to; `report` is where its HTML lies, `command` runs the night again."""
    states = [episode.state for episode in night.episodes]
    shots = [(episode, shot) for episode in night.episodes for shot in episode.shots]
    failed = [(episode, shot) for episode, shot in shots if shot.state == "failed"]
    counts = {
        "episodes": len(states),
        **{name: states.count(each) for each, name in COUNTED.items()},
        "regressed": sum(episode.regressed for episode in night.episodes),
        "shots": len(shots),
        "shots failed": len(failed),
        "shots regressed": sum(bool(shot.regressions) for _, shot in shots),
        "chunks computed": sum(episode.computed for episode in night.episodes),
        "chunks reused": sum(episode.reused for episode in night.episodes),
    }
    kind = night.outcome
    waiting = [plain(each.episode) for each in night.episodes if each.state is Outcome.WAITING]
    told = [
        *(_failed_shot(episode, shot) for episode, shot in failed),
        *(_regressed_shot(episode, shot) for episode, shot in shots if shot.regressions),
    ]
    return Event(
        kind=kind,
        about="night",
        name=plain(night.nightly),
        text=plain(f"night {night.night} of {night.nightly}: {_night_words(counts)}"),
        run=plain(night.night),
        id=_id("night", night.nightly, night.night, kind),
        counts=tuple((name, count) for name, count in counts.items() if count),
        report=plain(report),
        command=plain(command) if kind is not Outcome.DONE else "",
        failed=tuple(told[:NAMED_AT_MOST]),
        waiting=tuple(waiting[:NAMED_AT_MOST]),
        findings=tuple(
            plain(f"{episode.episode}: {regression_words(episode.regressions)}")
            for episode in night.episodes
            if episode.regressions
        )[:NAMED_AT_MOST],
        episodes=tuple(
            EventEpisode(
                episode=plain(episode.episode),
                state=episode.state,
                why=plain(episode.why),
                run=plain(episode.run),
                film=plain(episode.film),
            )
            for episode in night.episodes[: 2 * NAMED_AT_MOST]
        ),
    )


def trial_event() -> Event:
    """What `douga notify --test` sends."""
    return Event(kind="test", about="test", name="douga", text="a test: douga can reach you here")


def _id(*what: str) -> str:
    """Of the same run always the same: a job that is submitted twice is told as one."""
    return f"msg_{make_key(list(what))[:24]}"


def _result_words(result: EpisodeResult, made: int) -> str:
    total = len(result.shots)
    if result.failed:
        names = few_words([shot.id for shot in result.failed])
        return f"failed: {len(result.failed)} of {total} shots ({names})"
    if result.findings:
        return f"{result.outcome.words}: {result.findings[0]}"
    if result.waiting:
        return f"waits for review: {len(result.waiting)} of {total} shots"
    if result.film:
        return f"is done: {count_words(result.frames_out, 'frame')}, {result.film}"
    return f"is rendered in part: {made} of {total} shots"


def _night_words(counts: dict[str, int]) -> str:
    shown = {**{name: each.words for each, name in COUNTED.items()}, "regressed": "regressed"}
    words = [f"{counts[name]} {word}" for name, word in shown.items() if counts[name]]
    return ", ".join(words) or "no episodes"


def _failed_shot(episode: NightEpisode, shot: NightShot) -> EventShot:
    return EventShot(
        episode=plain(episode.episode),
        shot=plain(shot.id),
        error=plain(shot.error or "failed"),
        frame=shot.frame,
        failure=plain(shot.failure),
    )


def _regressed_shot(episode: NightEpisode, shot: NightShot) -> EventShot:
    return EventShot(
        episode=plain(episode.episode),
        shot=plain(shot.id),
        error=plain(f"regressed: {regression_words(shot.regressions)}"),
        frame=shot.regressions[0].frame,
    )
