"""`douga review`, `approve` and `retake`: what people decide on shots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.errors import UsageError
from flows.commands.options import (
    Chunk,
    EncoderName,
    Fps,
    Quality,
    Recipe,
    Source,
    Stages,
)
from flows.commands.tools import AsJson, StoreUrl, print_json

if TYPE_CHECKING:
    from flows.plan.decisions import Verdict
    from flows.plan.prepare import Prepared

ReviewedShots = Annotated[list[str] | None, typer.Argument(help="sh010 sh020 …")]


def review(
    source: Source,
    stage: Stages = None,
    recipe: Recipe = "",
    store: StoreUrl = "",
    chunk: Chunk = None,
    encoder: EncoderName = "",
    quality: Quality = None,
    fps: Fps = "",
    as_json: AsJson = False,
) -> None:
    """List the shots of an episode, rendered with these options, with what people decided."""
    from flows.commands.tables.status import show_review
    from flows.review.gate import review_document

    document = review_document(_prepared(locals()))
    print_json(document) if as_json else show_review(document)


def approve(
    source: Source,
    shots: ReviewedShots = None,
    note: Annotated[str, typer.Option(help="words to keep with it")] = "",
    stage: Stages = None,
    recipe: Recipe = "",
    store: StoreUrl = "",
    chunk: Chunk = None,
    encoder: EncoderName = "",
    quality: Quality = None,
    fps: Fps = "",
    as_json: AsJson = False,
) -> None:
    """Approve shots as these options render them; without names, all of them."""
    _decide(locals(), "approved")


def retake(
    source: Source,
    shots: ReviewedShots = None,
    note: Annotated[str, typer.Option(help="what is to change")] = "",
    stage: Stages = None,
    recipe: Recipe = "",
    store: StoreUrl = "",
    chunk: Chunk = None,
    encoder: EncoderName = "",
    quality: Quality = None,
    fps: Fps = "",
    as_json: AsJson = False,
) -> None:
    """Send shots back; the film waits until what they come out as is approved."""
    if not shots:
        raise UsageError("name the shots to send back", remedy="for example: douga retake EP sh010")
    _decide(locals(), "retake")


def _prepared(given: dict[str, Any]) -> Prepared:
    """An episode read and planned as the render was told, for commands that only look at it."""
    from flows.plan.prepare import prepare
    from flows.progress import Silent
    from flows.spec.request import make_request

    request = make_request(
        given["source"],
        stages=given["stage"],
        recipe=given["recipe"],
        store=given["store"],
        chunk=given["chunk"],
        encoder=given["encoder"],
        quality=given["quality"],
        fps=given["fps"],
    )
    return prepare(request, Silent())


def _decide(given: dict[str, Any], verdict: Verdict) -> None:
    """Record a verdict by a command's own parameters."""
    from flows.commands.tables.status import show_review
    from flows.review.gate import decide, review_document

    prepared = _prepared(given)
    decide(prepared, given["shots"] or [], verdict, note=given["note"])
    document = review_document(prepared)
    print_json(document) if given["as_json"] else show_review(document)
