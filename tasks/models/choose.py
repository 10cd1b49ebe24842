"""Chooses the networks that enlarge a picture, in order: by scale and kind, or by name."""

from __future__ import annotations

from pathlib import Path

from cluster.errors import UsageError
from tasks.models.shelf import SHELF, Kind, ModelCard, list_cards, read_card

VERB = "upscale"
DEFAULT_SCALE = 2


def choose_models(
    *, scale: int | None, kind: Kind, model: str, shelf: Path | None = None
) -> tuple[ModelCard, ...]:
    """The cards of the passes, first to last; their scales multiply to `scale`.

    Without a `model` the built-in shelf gives one network of that scale and kind, or for 4x two of
    2x. A named model does its own scale in one pass; a faithful network does what is left, or the
    model itself again if it is faithful. A pass that restores leaves nothing to restore, so every
    later pass is faithful. `shelf` replaces the shelves of models.
    Errors: UsageError if no model or pair of models does it.
    """
    if model:
        return _named(read_card(model, verb=VERB, shelf=shelf), scale, shelf or SHELF)
    scale = scale or DEFAULT_SCALE
    return _from_shelf(scale, kind, shelf or SHELF)


def _from_shelf(scale: int, kind: Kind, shelf: Path) -> tuple[ModelCard, ...]:
    cards = [card for card in list_cards(shelf=shelf) if card.verb == VERB]
    for card in cards:
        if (card.scale, card.kind) == (scale, kind):
            return (card,)
    if scale == 4:
        return (*_from_shelf(2, kind, shelf), *_from_shelf(2, "faithful", shelf))
    have = ", ".join(f"{card.scale}x {card.kind} ({card.name})" for card in cards)
    raise UsageError(
        f"the shelf has no {scale}x {kind} model",
        where=f"stage {VERB}",
        remedy=f"it has {have}; or name one of your own with model=",
    )


def _named(card: ModelCard, scale: int | None, shelf: Path) -> tuple[ModelCard, ...]:
    if scale is None or card.scale == scale:
        return (card,)
    left, over = divmod(scale, card.scale)
    if over:
        raise UsageError(
            f"model {card.name!r} scales by {card.scale}, which does not go into {scale}",
            where=f"stage {VERB}",
            remedy=f"ask for scale={card.scale}, or name a {scale}x model",
        )
    if card.kind == "faithful" and left == card.scale:
        return (card, card)
    return (card, *_from_shelf(left, "faithful", shelf))
