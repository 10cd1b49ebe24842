"""What work needs of the node that does it: tags, a card, memory, licences. In no key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from cluster.connect.nodes import CARD_LABEL, TAG_LABEL, licence_resource
from cluster.errors import UsageError, shortly
from cluster.node.machine import NAME
from flows.words import size_words

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT])(i?)B")
LEAST_BYTES = 1 << 20
POWERS = {"k": 1, "M": 2, "G": 3, "T": 4}


def _label(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(f"expected letters, digits, dots and dashes, got {shortly(value)}")
    return value


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _size(value: object) -> object:
    """Bytes, of a size as it is written; as a number, those of a request that was written so."""
    if type(value) is int and value >= LEAST_BYTES:
        return value
    found = SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or not float(found[1]):
        raise ValueError(f"expected a size such as 24GB, got {shortly(value)}")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** POWERS[found[2]])


Label = Annotated[str, AfterValidator(_label)]
Labels = Annotated[
    tuple[Label, ...],
    BeforeValidator(_several),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Size = Annotated[
    int, BeforeValidator(_size), WithJsonSchema({"type": "string", "description": "such as 24GB"})
]


class NeedsSpec(BaseModel):
    """What an episode, a step of a recipe or a shot needs of a node. `memory` is what a worker gets
    of the machine's; what is `soft` of tags and card is done without where no node has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tag: Labels = ()
    card: Label | None = None
    memory: Size | None = None
    licence: Labels = ()
    soft: bool = False

    def settled(self) -> Needs:
        """The same, for the plan."""
        return Needs(
            tags=tuple(sorted(set(self.tag))),
            card=self.card or "",
            memory_bytes=self.memory or 0,
            licences=tuple(sorted(set(self.licence))),
            soft=self.soft,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a run of stages needs of a node; `soft` tags and card may be done without."""

    tags: tuple[str, ...] = ()
    card: str = ""
    memory_bytes: int = 0
    licences: tuple[str, ...] = ()
    soft: bool = False

    @property
    def labels(self) -> dict[str, str]:
        """The labels that a node must have, as Ray knows them."""
        card = {CARD_LABEL: self.card} if self.card else {}
        return {**{f"{TAG_LABEL}{tag}": "yes" for tag in self.tags}, **card}

    @property
    def resources(self) -> dict[str, float]:
        """What a worker takes of a licence server's or a node's licences, one of each."""
        return {licence_resource(name): 1.0 for name in self.licences}

    def __bool__(self) -> bool:
        return self != NONE

    def __str__(self) -> str:
        memory = [size_words(self.memory_bytes)] if self.memory_bytes else []
        words = [*(f"tag {tag}" for tag in self.tags), *([f"card {self.card}"] * bool(self.card))]
        licences = [f"licence {name}" for name in self.licences]
        return ", ".join([*words, *memory, *licences]) + (" if there is one" * self.soft)


NONE = Needs()


def narrowed(general: NeedsSpec | None, own: NeedsSpec | None) -> Needs:
    """What an episode says, and a shot of it: what the shot says of one thing replaces that."""
    whole = general or NeedsSpec()
    update = {name: getattr(own, name) for name in own.model_fields_set} if own else {}
    return whole.model_copy(update=update).settled()


def together(needs: Iterable[Needs], *, where: str) -> Needs:
    """All of several needs at once. UsageError where that is two cards."""
    several = [each for each in needs if each]
    cards = sorted({each.card for each in several if each.card})
    if len(cards) > 1:
        raise UsageError(
            f"one worker runs stages that need card {cards[0]} and card {cards[1]}",
            where=where,
            remedy="need one of them, or keep: true between the two",
        )
    bound = [each for each in several if each.labels]
    return Needs(
        tags=tuple(sorted({tag for each in several for tag in each.tags})),
        card=cards[0] if cards else "",
        memory_bytes=max((each.memory_bytes for each in several), default=0),
        licences=tuple(sorted({name for each in several for name in each.licences})),
        soft=bool(bound) and all(each.soft for each in bound),
    )
