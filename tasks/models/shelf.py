"""The model shelf: one folder per network, each describing itself in a card.

A folder `tasks/models/<name>/` holds `net.py` (with `build(card)`), `card.json`, the weights, and
the program that trained them. Networks that users brought lie in a folder of their own
(`DOUGA_MODELS`), with the same card beside their weights (`tasks/models/user/`). Reading a card
costs one small file and no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cluster.errors import StageError, UsageError, os_reason
from cluster.keys import digest_bytes
from cluster.settings import settings
from tasks.models.engine import check_here

if TYPE_CHECKING:
    from torch import nn

INSTALLED = Path(__file__).parent
SHELF = INSTALLED
Precision = Literal["fp32", "bf16", "fp16"]
AskedPrecision = Literal["exact", "fast", "fp32", "bf16", "fp16"]
"""What a recipe may ask for: a precision by name; "exact", the model's own by the library that it
was made with; "fast", the fastest engine that stays within 60 dB of that."""
Kind = Literal["faithful", "restore"]
Format = Literal["shelf", "onnx", "spandrel", "rife"]


class ModelCard(BaseModel):
    """What a network says of itself, so that no caller ever tests its name.

    `kind` says whether it keeps every fault of the picture ("faithful") or takes compression, blur
    and dirt away ("restore"). `format` says how its weights are opened, `shape` is what
    `net.build` needs. `frames` is how many frames it sees at once, `halo` how many input pixels
    around a pixel, None for a network that needs the whole picture. It takes sizes that are a
    multiple of `multiple`, and gives a shifted picture shifted by those only. `padded` networks
    pad their own edges and keep the size; the others take a window and its halo. `precisions`
    begins with the one it runs in unless told otherwise. `memory_bytes_per_megapixel` is the
    measured peak for a frame of one input megapixel. `sha256` is the weights' digest, which goes
    into keys. `folder` is where a user's model lies, empty on the built-in shelf; it is filled in
    by reading the card.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    verb: str
    scale: int = Field(ge=1)
    kind: Kind = "faithful"
    format: Format = "shelf"
    shape: dict[str, int] = Field(default_factory=dict)
    frames: int = Field(default=1, ge=1)
    halo: int | None = Field(ge=0)
    multiple: int = Field(default=1, ge=1)
    padded: bool = False
    parameters: int = Field(ge=0)
    precisions: tuple[Precision, ...] = Field(min_length=1)
    memory_bytes_per_megapixel: int = Field(gt=0)
    weights: str = "weights.safetensors"
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    origin: str = "trained here"
    licence: str = "Apache-2.0"
    folder: str = ""

    @property
    def asset(self) -> str:
        """The path of a user's weights, which travel with the work; "" on the built-in shelf."""
        return f"{self.folder}/{self.weights}" if self.folder else ""


def shelves() -> tuple[Path, ...]:
    """Where models lie: the built-in shelf, then the folder of those that users brought."""
    return SHELF, settings().models


def model_names(*, shelf: Path = SHELF) -> tuple[str, ...]:
    """The names of the models on one shelf, sorted."""
    return _installed_names() if shelf == INSTALLED else _names_on(shelf)


@cache
def _installed_names() -> tuple[str, ...]:
    """Those of the built-in shelf, looked for once: a plan asks for every shot."""
    return _names_on(INSTALLED)


def _names_on(shelf: Path) -> tuple[str, ...]:
    return tuple(sorted(path.parent.name for path in shelf.glob("*/card.json")))


def read_card(name: str, *, verb: str, shelf: Path | None = None) -> ModelCard:
    """The card of model `name`. UsageError where there is none or it does not do `verb`."""
    card = find_card(name, where=f"stage {verb}", shelf=shelf)
    if card.verb != verb:
        doing = [other.name for other in list_cards(shelf=shelf) if other.verb == verb]
        raise UsageError(
            f"model {name!r} does {card.verb}, not {verb}",
            where=f"stage {verb}",
            remedy=f"models that do are {', '.join(doing) or 'none'}",
        )
    return card


def find_card(name: str, *, where: str = "", shelf: Path | None = None) -> ModelCard:
    """The card of model `name`, whatever it does. UsageError, naming `where`, for no such model."""
    places = shelves() if shelf is None else (shelf,)
    names = tuple(found for place in places for found in model_names(shelf=place))
    home = next((place for place in places if name in model_names(shelf=place)), None)
    if home is None:
        close = get_close_matches(name, names, n=1)
        listing = f"models are {', '.join(names) or 'none'}"
        remedy = f"did you mean {close[0]!r}? ({listing})" if close else listing
        raise UsageError(f"unknown model {name!r}", where=where, remedy=remedy)
    return _open_card(home / name)


def list_cards(*, shelf: Path | None = None) -> tuple[ModelCard, ...]:
    """Every card, by name: the built-in shelf's, then those that users brought."""
    places = shelves() if shelf is None else (shelf,)
    return tuple(_open_card(place / name) for place in places for name in model_names(shelf=place))


def _open_card(folder: Path) -> ModelCard:
    installed = folder.parent == INSTALLED
    return _installed_card(folder.name) if installed else _read_card(folder)


@cache
def _installed_card(name: str) -> ModelCard:
    return _read_card(INSTALLED / name)


def _read_card(folder: Path) -> ModelCard:
    users = folder.parent == settings().models
    try:
        card = ModelCard.model_validate_json((folder / "card.json").read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        again = "write it again with the model's train.py"
        raise StageError(
            f"bad card: {field} {first['msg']}",
            where=f"model {folder.name}",
            remedy=f"douga models remove {folder.name}, then add it again" if users else again,
        ) from error
    return card.model_copy(update={"folder": str(folder)}) if users else card


def weights_of(
    card: ModelCard, read_asset: Callable[[str], bytes], *, shelf: Path = SHELF
) -> bytes:
    """A card's weights, checked: from the built-in shelf, or as the asset that travelled.

    Errors: StageError where they are missing or differ from the card's digest.
    """
    if card.asset:
        data = read_asset(card.asset)
    else:
        try:
            data = (shelf / card.name / card.weights).read_bytes()
        except OSError as error:
            raise StageError(
                f"no weights at {card.weights}: {os_reason(error)}",
                where=f"model {card.name}",
                remedy="install douga again",
            ) from error
    check_weights(card, digest_bytes(data))
    return data


def check_weights(card: ModelCard, found: str) -> None:
    """StageError where the weights' digest is not the card's."""
    if found != card.sha256:
        again = f"douga models remove {card.name}, then add it again"
        raise StageError(
            f"{card.weights}: expected sha256 {card.sha256[:12]}…, got {found[:12]}…",
            where=f"model {card.name}",
            remedy=f"the file has changed; {again}"
            if card.asset
            else "the file is damaged or belongs to another card; install douga again",
        )


def precision_of(card: ModelCard, asked: AskedPrecision | None, *, stage: str) -> Precision:
    """What a model runs in where no engine is named. UsageError where a stage is asked for a
    precision that its model does not have."""
    named = keyed_precision(asked)
    if named is None:
        return card.precisions[0]
    if named not in card.precisions:
        raise UsageError(
            f"model {card.name!r} has no {named}",
            where=f"stage {stage}",
            remedy=f"precision may be exact, fast, {', '.join(card.precisions)}",
        )
    return named


def keyed_precision(asked: AskedPrecision | None) -> Precision | None:
    """What keys say of the precision asked for: how exact and fast came out is the engine's name,
    so that unset, exact, and fast where nothing is faster, are one."""
    if asked == "exact" or asked == "fast":
        return None
    return asked


def runs_fast(card: ModelCard, asked: AskedPrecision | None) -> bool:
    """Whether an engine other than its own library may run a network."""
    return card.format == "shelf" and asked in (None, "fast")


def brought_weights(cards: Sequence[ModelCard]) -> tuple[str, ...]:
    """The weights that users brought; those of the shelf are installed with douga."""
    return tuple(dict.fromkeys(card.asset for card in cards if card.asset))


def cards_for_workers(cards: Sequence[ModelCard], digests: Mapping[str, str]) -> dict[str, Any]:
    """The parameter `cards` of a stage with models that users brought, for a worker elsewhere has
    no folder of them; nothing where none is. StageError where a file has changed since its model
    was added; `digests` are what the files have now."""
    brought = [card for card in cards if card.asset]
    for card in brought:
        check_weights(card, digests[card.asset])
    return {"cards": tuple(card.model_dump(mode="json") for card in cards)} if brought else {}


def load_model(card: ModelCard, *, shelf: Path = SHELF) -> nn.Module:
    """A built-in network with its weights, float32, on the CPU, ready for inference.

    Errors: StageError where the weights are missing, differ from the card's digest, or do not
    fit the network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    data = weights_of(card, _no_asset, shelf=shelf)
    net: nn.Module = import_module(f"tasks.models.{card.name}.net").build(card)
    try:
        net.load_state_dict(load(data))
    except (RuntimeError, SafetensorError) as error:
        raise StageError(
            f"{card.weights} does not fit the network: {error}",
            where=f"model {card.name}",
            remedy="card.json and the weights must come from the same training run",
        ) from error
    return net.eval().requires_grad_(False)


def load_graph(card: ModelCard, *, engine: str) -> Callable[..., Any]:
    """What gives a built-in network's graph for a shape, built once from its weights, checked;
    torch is not imported, OpenVINO is.

    Errors: StageError where the weights are missing or differ from the card's digest, ClusterError
    where this machine has not the engine.
    """
    check_here(engine, where=f"model {card.name}")
    from safetensors.numpy import load

    from tasks.models.openvino_graph import operations

    operations()
    weights = load(weights_of(card, _no_asset))
    build = import_module(f"tasks.models.{card.name}.graph").build
    return cache(partial(build, card, weights, engine=engine))


def _no_asset(path: str) -> bytes:
    raise StageError("a built-in model reads no asset", where=path)
