"""Read YAML documents, episodes and recipes: one clear error with file, line and nearest name."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from cluster.errors import InputError, UsageError, os_reason, shortly
from cluster.files import read_plain
from flows.spec.allowed_paths import check_typed
from flows.spec.documents import Document, EpisodeSpec, StageSpec, line_of, nearest_name
from tasks.stages.registry import make_stage
from tasks.stages.yaml_text import Place, read_yaml

MAX_BYTES = 1 << 20
"""No episode is described in more than 1 MiB of YAML."""
_NOT_A_DOCUMENT = (errno.EFBIG, errno.EINVAL, errno.EISDIR, errno.ENXIO)
"""What stands there is too large, or a device, a pipe, a folder or a socket."""
_WRITE_OUT = "write it as docs/episode.md does"

M = TypeVar("M", bound=Document)
T = TypeVar("T")


def read_episode(path: Path) -> EpisodeSpec:
    """An episode from YAML. UsageError `file:line: what` for anything wrong in it; InputError if it
    cannot be read."""
    episode = read_document(
        path,
        EpisodeSpec,
        what="an episode (a mapping with a source)",
        begin="source: film.mp4",
        folder=str(path.parent.absolute()),
    )
    check_paths(episode, episode.paths(), episode.resolve)
    _check_stages(episode.recipe, ("recipe",), episode.where)
    for shot, override in episode.shots.items():
        place: Place = ("shots", shot, "recipe")
        if override.recipe is None:
            place = ("shots", shot, "params")
        _check_stages(episode.recipe_for(shot), place, episode.where)
    return episode


def check_paths(
    document: Document, paths: Iterable[tuple[Place, str]], resolve: Callable[[str], object]
) -> None:
    """UsageError, with its line, for the first path of a document that leads where it may not."""
    for place, path in paths:
        try:
            resolve(path)
        except UsageError as error:
            raise error.at(document.where(*place)) from error


def read_recipe(path: Path) -> tuple[StageSpec, ...]:
    """A recipe file: a list of stages, or a mapping with the key `recipe`."""
    data, lines = _load_yaml(path)
    if isinstance(data, dict) and set(data) == {"recipe"}:
        data = data["recipe"]
        lines = {place[1:]: line for place, line in lines.items() if place[:1] == ("recipe",)}
    if not isinstance(data, list):
        raise UsageError(
            "expected a list of stages", where=f"{path}:1", remedy="for example: - upscale"
        )
    recipe = _validate(TypeAdapter(tuple[StageSpec, ...]), data, path=path, lines=lines)
    _check_stages(recipe, (), lambda *place: f"{path}:{line_of(lines, place)}")
    return recipe


def _check_stages(recipe: Sequence[StageSpec], place: Place, where: Callable[..., str]) -> None:
    """Every stage must exist and take its parameters; the error names the line of the step."""
    for number, step in enumerate(recipe):
        try:
            make_stage(step.stage, step.params)
        except UsageError as error:
            within = step.stage if place[-1:] == ("params",) else number
            raise error.at(where(*place, within)) from error


def read_document(path: Path, model: type[M], *, what: str, begin: str, **ours: str) -> M:
    """A YAML file as its model, named as the file where it says no name, which knows its lines;
    `ours` are fields that no file may set.

    UsageError `file:line: what` for anything wrong in it; InputError if it cannot be read.
    """
    data, lines = _load_yaml(path)
    if not isinstance(data, dict):
        raise UsageError(
            f"expected {what}, got " + ("nothing" if data is None else type(data).__name__),
            where=f"{path}:1",
            remedy=f"begin with: {begin}",
        )
    for name in ours:
        if name in data:
            raise UsageError(f"unknown key {name!r}", where=f"{path}:{lines.get((name,), 1)}")
    given = {"name": path.stem, **data, **ours}
    document = _validate(TypeAdapter(model), given, path=path, lines=lines, root=model, ours=ours)
    document.note_lines(str(path), lines)
    return document


def _load_yaml(path: Path) -> tuple[Any, dict[Place, int]]:
    """What a YAML file holds, and the line of every place in it. Errors as for `read_document`."""
    named = check_typed(str(path))
    try:
        text = read_plain(named, most_bytes=MAX_BYTES).decode("utf-8")
    except OSError as error:
        kind = UsageError if error.errno in _NOT_A_DOCUMENT else InputError
        raise kind(
            f"cannot be read ({os_reason(error)})", where=named, remedy="check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            "not UTF-8 text", where=named, remedy="is this a film? give it without --recipe"
        ) from error
    return read_yaml(text.removeprefix("\ufeff"), where=named, remedy=_WRITE_OUT)


def _validate(
    kind: TypeAdapter[T],
    data: Any,
    *,
    path: Path,
    lines: dict[Place, int],
    root: type[BaseModel] = EpisodeSpec,
    ours: Collection[str] = (),
) -> T:
    """The document that `data` is, by its model; `root` is the model whose keys are suggested,
    `ours` aside. UsageError for the first thing wrong in it.
    """
    try:
        return kind.validate_python(data)
    except ValidationError as error:
        # A union reports every branch; the deepest place is the one the writer meant.
        first = max(error.errors(), key=lambda item: (item["type"] == "extra_forbidden",))
        place = tuple(first.get("ctx", {}).get("place", first["loc"]))
        where = f"{path}:{line_of(lines, place)}"
        raise UsageError(_explain(first, place, root, ours), where=where) from error


_KINDS = {
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text",
    "string_too_short": "some text",
    "too_short": "a list of one or more",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "invalid_key": "a key in letters",
}
"""What a person calls what pydantic calls its types."""


def _explain(error: Any, place: Place, root: type[BaseModel], ours: Collection[str]) -> str:
    whole = root.__name__.removesuffix("Spec").lower()
    name = ".".join(str(part) for part in place) or whole
    if error["type"] == "extra_forbidden":
        known = [name for name in _known_keys(place[:-1], root) if name not in ours]
        return f"unknown key {str(place[-1])!r}; {nearest_name(str(place[-1]), known)}"
    if error["type"] == "missing":
        missing = "source" if place == ("sources",) else name
        return f"{missing} is missing"
    if kind := _KINDS.get(error["type"]):
        return f"{name}: expected {kind}, got {shortly(error['input'])}"
    if error["type"] == "literal_error":
        expected = str(error["ctx"]["expected"])
        close = get_close_matches(str(error["input"])[:100], re.findall("'([^']*)'", expected), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{name}: expected {expected}, got {shortly(error['input'])}{hint}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}: {message[0].lower()}{message[1:]}"


def _known_keys(place: Place, root: type[BaseModel]) -> list[str]:
    """The keys that the document has at a place, found by walking the models' fields."""
    model: type[BaseModel] | None = root
    for part in place:
        if model is None or not isinstance(part, str) or part not in model.model_fields:
            continue
        model = _model_in(model.model_fields[part].annotation)
    if model is None:
        return []
    return [*(["source"] if model is EpisodeSpec else []), *model.model_fields]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        if found := _model_in(part):
            return found
    return None
