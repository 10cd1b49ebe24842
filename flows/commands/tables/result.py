"""What `douga render` says at its end."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from flows.commands.tables.tables import make_console, make_table, say
from flows.runs.result import EpisodeResult
from flows.spec.request import RenderRequest
from flows.words import count_words, duration_words, few_words

SHOTS = ("shot", "source frames", "out>", "chunks>", "made>", "reused>", "busy>", "state")
SHAPING = (
    "--stage",
    "--recipe",
    "--store",
    "--chunk",
    "--encoder",
    "--quality",
    "--fps",
)
"""Options that say what a render comes to and where it is kept."""


def show_result(result: EpisodeResult, request: RenderRequest) -> None:
    """The shots, the film's path and what to do next."""
    console = make_console()
    rows = [
        (
            *(shot.id, f"{shot.start}-{shot.end - 1}", shot.frames),
            *(shot.chunks, shot.computed, shot.reused),
            *(duration_words(shot.seconds), shot.state),
        )
        for shot in result.shots
    ]
    console.print(make_table(SHOTS, rows))
    chunks = count_words(result.chunks_computed, "chunk")
    say(
        console,
        f"{result.frames_in} frames in, {result.frames_out} out; {chunks} computed, "
        f"{result.chunks_reused} reused; {duration_words(result.wall_s)}",
    )
    if result.frames_reused:
        say(
            console,
            f"{count_words(result.frames_reused, 'frame')} taken from earlier pickups and previews",
        )
    for note in result.notes:
        say(console, f"note: {note}")
    if result.retries:
        say(console, f"{result.retries} failed attempts succeeded on retry")
    for host in result.quarantined:
        say(console, f"quarantined: host {host}", style="red")
    for finding in result.findings:
        say(console, f"failed verification: {finding}", style="red")
    if result.preview is not None:
        _show_preview(console, result, request)
        return
    missing = [shot.id for shot in result.shots if shot.state not in ("rendered", "stored")]
    if missing and not result.failed:
        say(
            console,
            f"no film yet: {count_words(len(missing), 'shot')} to go ({few_words(missing)})",
        )
    if result.film is None:
        if result.waiting:
            if result.pictures:
                say(console, f"contact sheet: {result.pictures}")
            _show_next(console, [*_decisions(result, request), (request.command, "then the film")])
        return
    say(console, f"film: {result.film}")
    checked = f"{same_options('verify', request.command)} -o {shlex.quote(result.film)}"
    lines = [
        (same_options("plan", request.command), "what another render would do: nothing"),
        (checked, "every frame once more"),
        (same_options("status", request.command), "how far every shot is"),
    ]
    _show_next(console, lines)


def _show_preview(console: Console, result: EpisodeResult, request: RenderRequest) -> None:
    """Where the preview lies, and how the whole film comes of it."""
    assert result.preview is not None
    film = Path(result.preview)
    for line in (f"preview: {film}", f"contact sheet: {film.with_suffix('.png')}"):
        say(console, line)
    again = (request.command, "the same again: what is approved is rendered whole")
    _show_next(console, [*_decisions(result, request), again])


def _decisions(result: EpisodeResult, request: RenderRequest) -> list[tuple[str, str]]:
    """How a person says what becomes of the shots that wait."""
    shot = result.waiting[0].partition(":")[0]
    approve, retake = (same_options(verb, request.command) for verb in ("approve", "retake"))
    return [
        (f"{approve} {shlex.quote(shot)}", "this shot; more after it, or --all for all that wait"),
        (f"{retake} {shlex.quote(shot)} --note WHY", "send a shot back"),
    ]


def _show_next(console: Console, lines: Sequence[tuple[str, str]]) -> None:
    say(console, "next:")
    for line, why in lines:
        say(console, f"  {line}   # {why}")


def same_options(verb: str, command: str) -> str:
    """Another command on what `douga render …` was told to render: its source, and of its options,
    each of which takes a value, those of SHAPING."""
    program, _, *rest = shlex.split(command)
    words, source, kept = iter(rest), "", list[str]()
    for word in words:
        name, equals, _ = word.partition("=")
        if not word.startswith("-"):
            source = word
        elif word != "--" and (word.startswith("--") or word == "-o"):
            given = [word] if equals else [word, next(words, "")]
            kept += given if name in SHAPING else []
    return shlex.join([program, verb, source, *kept])
