"""YAML that others wrote, read as data: bounded, and with the line of every mistake."""

from __future__ import annotations

from typing import Any

import yaml

from cluster.errors import UsageError, shortly

MAX_NODES = 100_000
"""Aliases are counted at every use, so that a YAML bomb is refused before it unfolds."""
MAX_SCALAR = 64
"""Characters of a number, a date or a truth value. Longer ones cost more than their length."""
_TEXTS = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("str", "binary", "null", "merge"))

Place = tuple[str | int, ...]
"""Where in a document: keys and places in lists, from the outside."""


def read_yaml(
    text: str, *, where: str, remedy: str = "", most: int = MAX_NODES
) -> tuple[Any, dict[Place, int]]:
    """What YAML says, None for nothing, and the line of every place in it. UsageError
    `where:line: what; remedy` for what is no YAML, or makes more than `most` values."""
    lines: dict[Place, int] = {}
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None, lines
        _note_lines(root, (), lines, [most], where)
        return loader.construct_document(root), lines
    except yaml.YAMLError as error:
        raise UsageError(
            f"not valid YAML: {_problem(error)}", where=_place(error, text, where), remedy=remedy
        ) from error
    except RecursionError as error:
        raise UsageError("nested too deeply", where=where, remedy=remedy) from error


class _Loader(yaml.SafeLoader):
    """The safe loader, whose scalars are bounded, and wrong in a line where they are wrong."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            return super().construct_object(node, deep)
        kind = node.tag.rpartition(":")[2]
        if node.tag not in _TEXTS and len(node.value) > MAX_SCALAR:
            raise _wrong(f"a {kind} of {len(node.value)} characters", node)
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, str):
                value.encode()
        except UnicodeEncodeError as error:
            raise _wrong("half a character (a surrogate)", node) from error
        except (ValueError, LookupError, ArithmeticError, TypeError, AttributeError) as error:
            raise _wrong(f"{shortly(node.value)} is no {kind}", node) from error
        return value


def _wrong(what: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, what, node.start_mark)


def _problem(error: yaml.YAMLError) -> str:
    begun = getattr(error, "context_mark", None)
    since = f", in what begins in line {begun.line + 1}" if begun else ""
    if isinstance(error, yaml.reader.ReaderError):
        return f"a control character (number {error.character})"
    return f"{getattr(error, 'problem', None) or error}{since}"


def _place(error: yaml.YAMLError, text: str, where: str) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        return f"{where}:{text.count(chr(10), 0, error.position) + 1}"
    mark = getattr(error, "problem_mark", None)
    return f"{where}:{mark.line + 1}" if mark else where


def _note_lines(
    node: yaml.Node, place: Place, lines: dict[Place, int], left: list[int], where: str
) -> None:
    left[0] -= 1
    if left[0] < 0:
        raise UsageError(
            "too many values (aliases unfolded)", where=where, remedy="write fewer, without aliases"
        )
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        named: set[str] = set()
        for key, value in node.value:
            name = str(getattr(key, "value", ""))
            if name in named:
                line = key.start_mark.line + 1
                raise UsageError(f"{shortly(name)} is given twice", where=f"{where}:{line}")
            named.add(name)
            lines[(*place, name)] = key.start_mark.line + 1
            _note_lines(value, (*place, name), lines, left, where)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note_lines(value, (*place, index), lines, left, where)
