"""`douga nightly FILE`: several episodes by priority, deadline and budget; `accept` afterwards."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cluster.errors import Exit
from flows.commands.tools import AsJson, StoreUrl, print_json, stray_output_to_stderr

if TYPE_CHECKING:
    from flows.nightly.run import NightResult
    from flows.runs.job import Claim


class RunByDefault(TyperGroup):
    """What follows `nightly` is a file for `run`, unless it is a command's name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` before what names no command."""
        if not args or args[0] not in self.commands:
            args = ["run", *args]
        return list(super().parse_args(ctx, args))


nightly = typer.Typer(
    cls=RunByDefault,
    help="Render several episodes by priority, deadline and budget; compare with the last night.",
)


@nightly.command("run")
def run(
    file: Annotated[Path, typer.Argument(help="nightly.yaml")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be taken and cost; render nothing")
    ] = False,
    report: Annotated[
        str, typer.Option(help="folder for report.html, report.json and junit.xml")
    ] = "",
    timeout: Annotated[
        float | None,
        typer.Option(min=0.001, max=1e7, help="seconds; then the night ends with exit 124"),
    ] = None,
    job: Annotated[str, typer.Option("--job", help="a key: submitted twice, it is one night")] = "",
    store: StoreUrl = "",
    as_json: AsJson = False,
) -> None:
    """Render several episodes by priority, deadline and budget; compare with the last good night.

    Exit 0: all done and good. 1: something failed. 2: failed verification or regressed. 3: left
    out or waits for review. `douga nightly accept NAME` takes a night as the new reference.
    """
    from cluster.settings import settings
    from flows.commands.tables.nightly import show_night, show_preview
    from flows.forecast.estimate import forecast
    from flows.nightly.candidates import nightly_store
    from flows.nightly.preview import preview_night
    from flows.nightly.report_files import write_reports
    from flows.nightly.run import run_night, run_night_once
    from flows.nightly.spec import read_nightly
    from flows.notify.on_exit import notify_on_night_exit
    from flows.progress import Plain, make_reporter, one_line

    spec = read_nightly(file)
    kept = nightly_store(spec, store=store)
    if dry_run:
        with stray_output_to_stderr(), make_reporter() as reporter:
            document = preview_night(spec, kept, reporter, forecast=forecast, episodes_store=store)
        print_json(document, "nightly-preview") if as_json else show_preview(document)
        raise typer.Exit(Exit.FAILED if document["failed"] else Exit.GOOD)
    command = shlex.join(["douga", *sys.argv[1:]])
    with notify_on_night_exit(spec.name, Plain(), command=command) as notice:
        with stray_output_to_stderr(), make_reporter() as reporter:

            def act(claim: Claim | None) -> NightResult:
                came_to = run_night(
                    spec,
                    kept,
                    reporter,
                    forecast=forecast,
                    timeout_s=timeout,
                    episodes_store=store,
                    command=command,
                    claim=claim,
                )
                notice.night(came_to.night)
                return came_to

            key = job or settings().job
            result = (
                run_night_once(spec, kept, reporter, job=key, act=act, command=command)
                if key
                else act(None)
            )
        night = result.night
        if as_json:
            print_json(_document(result), "nightly")
        else:
            show_night(night, words=result.words)
        notice.report(write_reports(night, spec, kept, folder=report))
    if result.exit_code != Exit.GOOD:
        print(f"douga: {one_line(result.words)}", file=sys.stderr)
        raise typer.Exit(result.exit_code)


@nightly.command()
def accept(
    name: Annotated[str, typer.Argument(help="the nightly's name, or its nightly.yaml")],
    night: Annotated[str, typer.Option(help="which; default: the newest")] = "",
    shots: Annotated[
        str | None, typer.Option(help="only these: ep01,ep02/sh010; default: the whole night")
    ] = None,
    note: Annotated[str, typer.Option(help="words to keep with it")] = "",
    store: StoreUrl = "",
    as_json: AsJson = False,
) -> None:
    """Take what a night came to as right: later nights are compared with it."""
    from dataclasses import asdict

    from cluster.settings import settings, user_name
    from cluster.store.open import open_store
    from flows.nightly.candidates import nightly_store
    from flows.nightly.spec import read_nightly
    from flows.runs.nights import accept as accept_night

    if name.lower().endswith((".yaml", ".yml")):
        spec = read_nightly(Path(name))
        name, kept = spec.name, nightly_store(spec, store=store)
    else:
        kept = open_store(store or settings().store_url)
    chosen = _names(shots)
    accepted = accept_night(kept, name, night=night, shots=chosen, by=user_name(), note=note)
    if as_json:
        print_json(asdict(accepted), "accepted")
    else:
        print(f"accepted: {', '.join(chosen) or 'all'} of night {accepted.night}")


def _names(text: str | None) -> list[str]:
    """What `--shots` names. UsageError where it was given and names nothing: an empty variable of a
    script must not accept the whole night."""
    from cluster.errors import UsageError

    names = [each.strip() for each in (text or "").split(",") if each.strip()]
    if text is not None and not names:
        raise UsageError(
            f"expected episodes or shots, got {text!r}",
            where="--shots",
            remedy="name them as ep01,ep02/sh010, or leave it out for the whole night",
        )
    return names


def _document(result: NightResult) -> dict[str, Any]:
    document = result.night.to_json()
    return {**document, "state": result.state, "exit_code": int(result.exit_code)}
