"""The `douga` command: thin. Results to stdout, everything else to stderr, exit codes as agreed."""

from __future__ import annotations

import errno
import logging
import os
import shlex
import shutil
import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer

from cluster.errors import Exit, explained, os_reason, printable
from cluster.network import around_proxies
from flows.commands.annotate import annotate
from flows.commands.bench import bench
from flows.commands.desk import desk
from flows.commands.farm import farm
from flows.commands.gc import gc
from flows.commands.models import models
from flows.commands.nightly import nightly
from flows.commands.notify import notify
from flows.commands.options import (
    SHAPING,
    RenderOptions,
    StatusOptions,
    check_folder,
    spread_options,
)
from flows.commands.queue import cancel, pause, priority, queue, recover, resume
from flows.commands.report import ledger, report
from flows.commands.review import approve, retake, review
from flows.commands.store import store as store_commands
from flows.commands.submit import submit
from flows.commands.timeline import timeline
from flows.commands.tools import AsJson, print_json, stray_output_to_stderr, tools
from flows.commands.up import down, up
from flows.commands.verify import verify
from flows.commands.wait import wait
from flows.commands.worker import worker
from flows.process import Stream, end_by_signals, keep_streams

LABORATORIES = ("tasks.synthetic", "tasks.benchmarks", "tasks.training")
"""Rooms that an installation may do without; few commands need one."""

FILMS = ("render", "nightly", "up")
"""Commands whose exit code is that of films, whoever reads their output."""

app = typer.Typer(
    name="douga",
    help="Render an animation episode: shots on Ray, frames in a store, one exact film.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(asked: bool) -> None:
    if asked:
        print(f"douga {installed_version('douga')}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="tracebacks for errors")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="which douga")
    ] = False,
) -> None:
    if debug:
        os.environ["DOUGA_DEBUG"] = "1"


@app.command()
@spread_options()
def render(
    *,
    options: RenderOptions,
    job: Annotated[
        str,
        typer.Option(
            "--job",
            help="submitted again with the same key, it is not done again; default DOUGA_JOB",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Render an episode to a film; what is stored already is not made again."""
    from cluster.settings import settings
    from flows.commands.tables.result import show_result
    from flows.forecast.startup import record_startup
    from flows.notify.on_exit import notify_on_exit
    from flows.plan.prepare import new_run_id
    from flows.progress import make_reporter
    from flows.render import render as render_now
    from flows.runs.result import shots_failed, waits_for_review

    request = options.request(command=_command())
    check_folder(options.output, option="-o")
    job = job or settings().job
    with (
        stray_output_to_stderr(),
        make_reporter() as reporter,
        notify_on_exit(request, reporter) as notice,
    ):
        run = new_run_id()
        result = render_now(request, reporter, job=job, run=run)
        if result.run == run:  # who only waited for it has nothing to tell
            notice.result(result)
    if result.render_s and not job:
        record_startup(result.wall_s)
    print_json(result.to_json(), "render") if as_json else show_result(result, request)
    if result.failed:
        raise shots_failed(result, request.command)
    if result.findings:
        raise typer.Exit(Exit.WANTING)
    if result.waiting:
        raise waits_for_review(result, request.command)


@app.command()
@spread_options()
def plan(
    *,
    options: RenderOptions,
    changed: Annotated[
        str,
        typer.Option(
            "--changed", help="as if char:NAME, source:, stage: or model:NAME had changed"
        ),
    ] = "",
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate/--no-calibrate", help="try frames of what no history tells"),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Say what a render would do: what is to be made and why, what it costs, when it is done."""
    from flows.changes.changed import as_if_changed
    from flows.commands.tables.plan import plan_document, show_plan
    from flows.farm.pools import missing_for
    from flows.forecast import forecast
    from flows.plan.prepare import prepare
    from flows.progress import make_reporter

    request = options.request(command=_command())
    with stray_output_to_stderr(), make_reporter() as reporter:
        prepared = prepare(request, reporter)
        supposed = as_if_changed(prepared, changed) if changed else None
        planned = supposed.prepared if supposed else prepared
        expected = forecast(planned, calibrate=calibrate, reporter=reporter)
        for line in missing_for(planned):
            reporter.note(line)
    document = plan_document(prepared, expected=expected, changed=supposed)
    print_json(document, "plan") if as_json else show_plan(document)


@app.command()
@spread_options(*SHAPING)
def status(*, options: StatusOptions, as_json: AsJson = False) -> None:
    """Show all episodes and runs, or how far one's shots are as these options render them.

    Without an episode: every episode of the stores that were rendered into from here, then the runs
    of one store.
    """
    from flows.commands.tables.status import show_status
    from flows.runs.status import runs_document, status_document

    if options.source:
        document = status_document(options.request())
    else:
        document = runs_document(options.store)
    if as_json:
        print_json(document, "runs" if "runs" in document else "status")
    else:
        show_status(document)


app.command()(review)
app.command()(approve)
app.command()(retake)
app.command()(verify)
app.command()(timeline)
app.command()(wait)
app.command()(notify)
app.command()(annotate)
app.command()(report)
app.add_typer(tools)
app.add_typer(gc)
app.add_typer(store_commands, name="store")
app.add_typer(models, name="models")
app.add_typer(nightly, name="nightly")
app.command()(submit)
app.command()(queue)
app.command()(pause)
app.command()(resume)
app.command()(cancel)
app.command()(priority)
app.command()(recover)
app.command()(up)
app.command()(down)
app.command()(worker)
app.add_typer(desk, name="desk")
app.add_typer(farm, name="farm")
app.add_typer(bench, name="bench")
app.add_typer(ledger, name="ledger")


def main() -> None:
    """Entry point: one clear line and the right exit code for every error."""
    out = keep_streams()
    end_by_signals()
    os.environ.update(around_proxies(os.environ))
    _tell_warnings()
    try:
        code = app(standalone_mode=False) or Exit.GOOD
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except Exception as error:  # the door: nothing may leave as a traceback
        sys.exit(_explain(error))
    if code == Exit.INTERRUPTED:  # typer makes this of Ctrl-C
        print("douga: stopped; what was finished is kept, run the same again", file=sys.stderr)
    sys.exit(_told(out) if code == Exit.GOOD else code)


def _told(out: Stream) -> int:
    """The exit code of good work, where its result may have gone nowhere: a film is a film, and
    what only tells something has failed."""
    sys.stdout.flush()
    if out.lost is None:
        return Exit.GOOD
    if out.lost.errno != errno.EPIPE:  # head, which has what it wanted
        print(
            f"douga: standard output: cannot be written ({os_reason(out.lost)}); "
            "the result is lost, write it elsewhere",
            file=sys.stderr,
        )
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    return Exit.GOOD if command in FILMS else Exit.FAILED


def _tell_warnings() -> None:
    """What our code warns of (a request tried again, smaller tiles) goes to stderr as a note."""
    told: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        """A damaged record is read again and again, and told of once."""
        is_known = record.getMessage() in told
        told.add(record.getMessage())
        return not is_known

    logging.getLogger("cluster.store.records").filters[:] = [is_new]
    handler = logging.StreamHandler()
    handler.setFormatter(_NoteFormatter("douga: note: %(message)s"))
    for room in ("cluster", "tasks", "flows"):
        logging.getLogger(room).handlers[:] = [handler]


class _NoteFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _explain(error: Exception) -> int:
    """Print an error as one line on stderr; the traceback only with --debug. Its exit code."""
    from typer.exceptions import TyperException

    from cluster.settings import foreign

    if foreign("DOUGA_DEBUG"):
        import traceback

        print(printable("".join(traceback.format_exception(error))), file=sys.stderr, end="")
    if isinstance(error, typer.Abort):
        line, code = "stopped; what was finished is kept, run the same again", Exit.INTERRUPTED
    elif isinstance(error, TyperException):
        what = error.format_message().rstrip(".") or "no command is named"
        context = getattr(error, "ctx", None)
        at = context.command_path if context and context.info_name else "douga"
        line, code = f"{what}; see {at} --help", Exit.USAGE
    elif isinstance(error, ModuleNotFoundError) and (error.name or "").startswith(LABORATORIES):
        line = f"this installation has no laboratories ({error.name}); install douga whole"
        code = Exit.FAILED
    else:
        ours = explained(error)
        line, code = str(ours), ours.exit_code
    print(f"douga: {printable(line)}", file=sys.stderr)
    return code


def _command() -> str:
    """What to type for the same again."""
    words = [word for word in sys.argv[1:] if word not in ("--json", "--debug")]
    return shlex.join([_program(), *words])


def _program() -> str:
    """How this command was called: by name where the shell would find it, else by its path."""
    called = Path(sys.argv[0])
    if called.name != "douga" or shutil.which("douga"):
        return "douga"
    return os.path.relpath(called) if called.is_relative_to(Path.cwd()) else str(called)


if __name__ == "__main__":
    main()
