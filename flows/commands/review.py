"""`douga review`, `approve` and `retake`: what people decide on shots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cluster.errors import UsageError
from flows.commands.options import SHAPING, RenderOptions, spread_options
from flows.commands.tools import AsJson, print_json

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
    note: Annotated[str, typer.Option(help="words to keep with it")] = "",
    options: RenderOptions,
    as_json: AsJson = False,
) -> None:
    """Approve shots as these options render them; without names, all that nobody decided on."""
    _decide(options, "approved", shots=shots or [], note=note, as_json=as_json)


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
    options: RenderOptions, verdict: Verdict, *, shots: list[str], note: str, as_json: bool
) -> None:
    """Record a verdict, and show what is decided by now."""
    from flows.commands.tables.status import show_review
    from flows.review.gate import decide, review_document

    prepared = _prepare(options)
    decide(prepared, shots, verdict, note=note)
    document = review_document(prepared)
    print_json(document, "review") if as_json else show_review(document)
