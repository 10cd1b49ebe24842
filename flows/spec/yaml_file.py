"""Read YAML documents, episodes and recipes: one clear error with file, line and nearest name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from cluster.errors import InputError, UsageError, os_reason
from flows.spec.documents import EpisodeSpec, StageSpec
from tasks.stages.registry import make_stage

MAX_BYTES = 1 << 20
"""No episode is described in more than 1 MiB of YAML."""
MAX_NODES = 100_000
"""Aliases are counted at every use, so that a YAML bomb is refused before it unfolds."""
_WRITE_OUT = "write it as docs/episode.md does"

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
Place = tuple[str | int, ...]


def read_episode(path: Path) -> EpisodeSpec:
    """An episode from YAML. UsageError `file:line: what` for anything wrong in it; InputError if it
    cannot be read."""
    episode, lines = read_document(
        path,
        EpisodeSpec,
        what="an episode (a mapping with a source)",
        begin="source: film.mp4",
        folder=str(path.parent.absolute()),
    )
    _check_stages(episode.recipe, ("recipe",), path, lines)
    for shot in episode.shots:
        _check_stages(episode.recipe_for(shot), ("shots", shot), path, lines)
    return episode


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
    _check_stages(recipe, (), path, lines)
    return recipe


def _check_stages(
    recipe: Sequence[StageSpec], place: Place, path: Path, lines: dict[Place, int]
) -> None:
    """Every stage must exist and take its parameters; the error names the line of the step."""
    for number, step in enumerate(recipe):
        try:
            make_stage(step.stage, step.params)
        except UsageError as error:
            line = lines.get((*place, number), lines.get(place, 1))
            raise error.at(f"{path}:{line}") from error


def read_document(
    path: Path, model: type[M], *, what: str, begin: str, **ours: str
) -> tuple[M, dict[Place, int]]:
    """A YAML file as its model, named as the file where it says no name, and the line of every
    place in it; `ours` are fields that no file may set.

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
    return document, lines


def nearest_name(name: str, known: Collection[str]) -> str:
    """`did you mean 'upscale'?`, or what there is."""
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def _load_yaml(path: Path) -> tuple[Any, dict[Place, int]]:
    """What a YAML file holds, and the line of every place in it. Errors as for `read_document`."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(
                f"larger than {MAX_BYTES >> 10} KiB", where=str(path), remedy=_WRITE_OUT
            )
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot be read ({os_reason(error)})", where=str(path), remedy="check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            "not UTF-8 text", where=str(path), remedy="is this a film? give it without --recipe"
        ) from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Place, int] = {}
        if root is not None:
            _note_lines(root, (), lines, [0], path)
        return yaml.safe_load(text), lines
    except yaml.YAMLError as error:
        mark, begun = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        since = f", in what begins in line {begun.line + 1}" if begun else ""
        raise UsageError(
            f"not valid YAML: {getattr(error, 'problem', None) or error}{since}",
            where=where,
            remedy=_WRITE_OUT,
        ) from error
    except RecursionError as error:
        raise UsageError("nested too deeply", where=str(path), remedy=_WRITE_OUT) from error


def _note_lines(
    node: yaml.Node, place: Place, lines: dict[Place, int], seen: list[int], path: Path
) -> None:
    seen[0] += 1
    if seen[0] > MAX_NODES:
        raise UsageError("too many values (aliases unfolded)", where=str(path), remedy=_WRITE_OUT)
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        named: set[str] = set()
        for key, value in node.value:
            name = str(getattr(key, "value", ""))
            if name in named:
                raise UsageError(
                    f"{name!r} is given twice", where=f"{path}:{key.start_mark.line + 1}"
                )
            named.add(name)
            lines[(*place, name)] = key.start_mark.line + 1
            _note_lines(value, (*place, name), lines, seen, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note_lines(value, (*place, index), lines, seen, path)


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
        place = tuple(first["loc"])
        line = next((lines[place[:n]] for n in range(len(place), -1, -1) if place[:n] in lines), 1)
        raise UsageError(_explain(first, place, root, ours), where=f"{path}:{line}") from error


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
        got = " ".join(repr(error["input"]).split())
        return f"{name}: expected {kind}, got {got if len(got) <= 60 else got[:57] + '...'}"
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
