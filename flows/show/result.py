"""What `douga render` says at its end."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console

from flows.request import RenderRequest
from flows.result import EpisodeResult
from flows.show.tables import make_console, make_table


def show_result(result: EpisodeResult, request: RenderRequest) -> None:
    """The shots, the film's path and what to do next."""
    table = make_table(
        "shot", "source frames", "out", "chunks", "made", "reused", "seconds", "state"
    )
    for shot in result.shots:
        table.add_row(
            shot.id,
            f"{shot.start}-{shot.end - 1}",
            str(shot.frames),
            str(shot.chunks),
            str(shot.computed),
            str(shot.reused),
            f"{shot.seconds:.1f}",
            shot.state,
        )
    console = make_console()
    console.print(table)
    console.print(
        f"{result.frames_in} frames in, {result.frames_out} out; {result.chunks_computed} chunks "
        f"computed, {result.chunks_reused} reused; {result.wall_s:.1f} s"
    )
    if result.frames_reused:
        console.print(f"{result.frames_reused} frames taken from earlier pickups and previews")
    for note in result.notes:
        console.print(f"note: {note}", markup=False)
    if result.retries:
        console.print(f"{result.retries} tries failed and were made good")
    for host in result.quarantined:
        console.print(f"quarantined: host {host}", style="red", markup=False)
    for finding in result.findings:
        console.print(f"wanting: {finding}", style="red", markup=False)
    if result.preview is not None:
        _show_preview(console, result, request)
        return
    missing = [shot.id for shot in result.shots if shot.state not in ("rendered", "stored")]
    if missing and not result.failed:
        few = ", ".join(missing[:6]) + (" …" if len(missing) > 6 else "")
        console.print(f"no film yet: {len(missing)} shot(s) to go ({few})", markup=False)
    if result.film is None:
        return
    console.print(f"film: {result.film}", soft_wrap=True, markup=False, highlight=False)
    program, _, source = shlex.split(request.command)[:3]
    douga, film = shlex.quote(program), shlex.quote(result.film)
    console.print("next:")
    for line, why in (
        (f"{douga} plan {shlex.quote(source)}", "what another render would do: nothing"),
        (f"{douga} verify {shlex.quote(source)} -o {film}", "every frame once more"),
        (f"{douga} status {shlex.quote(source)}", "how far every shot is"),
    ):
        console.print(f"  {line}   # {why}", soft_wrap=True, markup=False, highlight=False)


def _show_preview(console: Console, result: EpisodeResult, request: RenderRequest) -> None:
    """Where the preview lies, and how the whole film comes of it."""
    assert result.preview is not None
    film = Path(result.preview)
    for line in (f"preview: {film}", f"contact sheet: {film.with_suffix('.png')}"):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    program, _, source = shlex.split(request.command)[:3]
    douga, episode = shlex.quote(program), shlex.quote(source)
    console.print("next:")
    for line, why in (
        (f"{douga} approve {episode}", "all of it, or name shots: approve EP sh010 sh020"),
        (f"{douga} retake {episode} sh010 --note WHY", "send a shot back; it stays at its preview"),
        (request.command, "the same again: what is approved is rendered whole"),
    ):
        console.print(f"  {line}   # {why}", soft_wrap=True, markup=False, highlight=False)
