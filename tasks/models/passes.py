"""Which networks enlarge a picture, and in which order: chosen by scale and kind, or named."""

from __future__ import annotations

from cluster.errors import UsageError
from tasks.models.shelf import SHELF, Kind, ModelCard, list_cards, read_card

VERB = "upscale"
DEFAULT_SCALE = 2


def plan_passes(*, scale: int | None, kind: Kind, model: str) -> tuple[ModelCard, ...]:
    """The cards of the passes, first to last; their scales multiply to `scale`.

    Without a `model` the built-in shelf is asked for one network of that scale and kind, then, for
    4x, for two of 2x. A named model does its own scale in one pass; what is left is done by a
    faithful network, or by itself again where it is faithful. After a pass that restored there is
    nothing left to restore, so that every later pass is faithful.
    Errors: UsageError where no model or pair of models does it.
    """
    if model:
        return _passes_of(read_card(model, verb=VERB), scale)
    scale = scale or DEFAULT_SCALE
    return _from_shelf(scale, kind)


def _from_shelf(scale: int, kind: Kind) -> tuple[ModelCard, ...]:
    cards = [card for card in list_cards(shelf=SHELF) if card.verb == VERB]
    for card in cards:
        if (card.scale, card.kind) == (scale, kind):
            return (card,)
    if scale == 4:
        return (*_from_shelf(2, kind), *_from_shelf(2, "faithful"))
    have = ", ".join(f"{card.scale}x {card.kind} ({card.name})" for card in cards)
    raise UsageError(
        f"the shelf has no {scale}x {kind} model",
        where=f"stage {VERB}",
        remedy=f"it has {have}; or name one of your own with model=",
    )


def _passes_of(card: ModelCard, scale: int | None) -> tuple[ModelCard, ...]:
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
    return (card, *_from_shelf(left, "faithful"))
