"""`douga review`, `approve` and `retake`: what people decide on shots."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.errors import UsageError, printable
from flows.commands.options import SHAPING, RenderOptions, spread_options
from flows.commands.tools import AsJson, print_json
from flows.words import count_words

if TYPE_CHECKING:
    from flows.plan.decisions import Verdict
    from flows.plan.prepare import Prepared

ReviewedShots = Annotated[list[str] | None, typer.Argument(help="sh010 sh020 …")]


@spread_options(*SHAPING)
def review(*, options: RenderOptions, as_json: AsJson = False) -> None:
    """List the shots of an episode, rendered with these options, with what people decided."""
    from flows.commands.tables.status import show_review
    from flows.review.gate import review_document

    document = review_document(_prepare(options))
    print_json(document, "review") if as_json else show_review(document)


@spread_options(*SHAPING)
def approve(
    *,
    shots: ReviewedShots = None,
    every: Annotated[
        bool, typer.Option("--all", help="all that nobody has decided on, without asking")
    ] = False,
    note: Annotated[str, typer.Option(help="words to keep with it")] = "",
    options: RenderOptions,
    as_json: AsJson = False,
) -> None:
    """Approve shots as these options render them; without names, all that nobody decided on.

    Without names and `--all` it says which these are, and asks whoever types.
    """
    if every and shots:
        raise UsageError("--all and names both say what to approve", remedy="leave one out")
    ask = not (every or shots)
    _decide(options, "approved", shots=shots or [], note=note, as_json=as_json, ask=ask)


@spread_options(*SHAPING)
def retake(
    *,
    shots: ReviewedShots = None,
    note: Annotated[str, typer.Option(help="what is to change")] = "",
    options: RenderOptions,
    as_json: AsJson = False,
) -> None:
    """Send shots back; the film waits until what they come out as is approved."""
    if not shots:
        raise UsageError("name the shots to send back", remedy="for example: douga retake EP sh010")
    _decide(options, "retake", shots=shots, note=note, as_json=as_json)


def _prepare(options: RenderOptions) -> Prepared:
    """An episode read and planned as the render was told, for commands that only look at it."""
    from flows.plan.prepare import prepare
    from flows.progress import Silent

    return prepare(options.request(), Silent())


def _decide(
    options: RenderOptions,
    verdict: Verdict,
    *,
    shots: list[str],
    note: str,
    as_json: bool,
    ask: bool = False,
) -> None:
    """Record a verdict, and show what is decided by now."""
    from flows.commands.tables.status import show_review
    from flows.review.gate import decide, review_document, undecided_shots

    prepared = _prepare(options)
    if ask and (shots := undecided_shots(prepared)):
        _name_all(prepared, shots)
    if shots or not ask:
        decide(prepared, shots, verdict, note=note)
    document = review_document(prepared)
    print_json(document, "review") if as_json else show_review(document)


def _name_all(prepared: Prepared, shots: list[str]) -> None:
    """Say which shots nobody has named, and where their pictures are; whoever types is asked."""
    from flows.review.sheet import sheet_beside

    pictures = sheet_beside(Path(prepared.request.output))
    seen = f"; pictures: {pictures}" if pictures.is_file() else ""
    line = f"{prepared.name}: approves {count_words(len(shots), 'shot')}: {' '.join(shots)}{seen}"
    if sys.stdin.isatty() and sys.stderr.isatty():
        typer.confirm(printable(f"{line}; go on?"), err=True, abort=True)
    else:
        print(f"douga: {printable(line)}", file=sys.stderr)
