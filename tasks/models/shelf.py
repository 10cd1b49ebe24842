"""The model shelf: one folder per network, each describing itself in a card.

A folder `tasks/models/<name>/` holds `net.py` (with `build(card)`), `card.json`, the weights, and
the program that trained them. Reading a card costs one small file and no torch.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cluster.errors import StageError, UsageError
from cluster.keys import Digest, digest_bytes

if TYPE_CHECKING:
    from torch import nn

SHELF = Path(__file__).parent
Precision = Literal["fp32", "bf16", "fp16"]
Kind = Literal["faithful", "restore"]


class ModelCard(BaseModel):
    """What a network says of itself, so that no caller ever tests its name.

    `kind` says whether it keeps every fault of the picture ("faithful") or takes compression, blur
    and dirt away ("restore"). `shape` is what `net.build` needs. `halo` is how many input pixels around a pixel it sees.
    `sha256` is the weights' digest, which goes into keys. `memory_bytes_per_megapixel` is the
    measured peak for a frame of one input megapixel.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    verb: str
    scale: int = Field(ge=1)
    kind: Kind = "faithful"
    shape: dict[str, int]
    halo: int = Field(ge=0)
    parameters: int = Field(gt=0)
    precisions: tuple[Precision, ...]
    memory_bytes_per_megapixel: int = Field(gt=0)
    weights: str = "weights.safetensors"
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


def model_names(*, shelf: Path = SHELF) -> tuple[str, ...]:
    """The names of the models on the shelf, sorted."""
    return tuple(sorted(path.parent.name for path in shelf.glob("*/card.json")))


def read_card(name: str, *, verb: str, shelf: Path = SHELF) -> ModelCard:
    """The card of model `name`. UsageError where there is none or it does not do `verb`."""
    if name not in (names := model_names(shelf=shelf)):
        close = get_close_matches(name, names, n=1)
        listing = f"models are {', '.join(names) or 'none'}"
        remedy = f"did you mean {close[0]!r}? ({listing})" if close else listing
        raise UsageError(f"unknown model {name!r}", where=f"stage {verb}", remedy=remedy)
    path = shelf / name / "card.json"
    try:
        card = ModelCard.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise StageError(
            f"bad card: {field} {first['msg']}",
            where=f"model {name}",
            remedy="write it again with the model's train.py",
        ) from error
    if card.verb != verb:
        raise UsageError(
            f"model {name!r} does {card.verb}, not {verb}",
            where=f"stage {verb}",
            remedy=f"models are {', '.join(names)}",
        )
    return card


def load_model(card: ModelCard, *, shelf: Path = SHELF) -> nn.Module:
    """The network of a card with its weights, float32, on the CPU, ready for inference.

    Errors: StageError where the weights are missing, differ from the card's digest, or do not
    fit the network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = shelf / card.name / card.weights
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StageError(
            f"no weights at {path.name}: {error.strerror}",
            where=f"model {card.name}",
            remedy="install douga again",
        ) from error
    if (found := digest_bytes(data)) != Digest(card.sha256):
        raise StageError(
            f"{path.name}: expected sha256 {card.sha256[:12]}…, got {found[:12]}…",
            where=f"model {card.name}",
            remedy="the file is damaged or belongs to another card; install douga again",
        )
    net: nn.Module = import_module(f"tasks.models.{card.name}.net").build(card)
    try:
        net.load_state_dict(load(data))
    except (RuntimeError, SafetensorError) as error:
        raise StageError(
            f"{path.name} does not fit the network: {error}",
            where=f"model {card.name}",
            remedy="card.json and the weights must come from the same training run",
        ) from error
    return net.eval().requires_grad_(False)


def list_cards(*, shelf: Path = SHELF) -> tuple[ModelCard, ...]:
    """Every card on the shelf, by name."""
    cards = [shelf / name / "card.json" for name in model_names(shelf=shelf)]
    return tuple(ModelCard.model_validate_json(path.read_bytes()) for path in cards)
