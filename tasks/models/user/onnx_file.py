"""Just enough of the ONNX file format to count what a network learned, and to see that it is whole.

Fields by number, as in onnx.proto3 (github.com/onnx/onnx): ModelProto.graph 7,
GraphProto.node 1, initializer 5 and sparse_initializer 15, TensorProto.dims 1, data_type 2,
external_data 13 and data_location 14, NodeProto.attribute 5, AttributeProto's tensors and graphs.
ONNX Runtime's Python side tells inputs and outputs only, and the `onnx` package is a heavy thing to
need for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

_GRAPH, _INITIALIZER, _DIMS, _DATA_TYPE = 7, 5, 1, 2
_FUNCTIONS, _FUNCTION_NODE, _NODE, _SPARSE, _ATTRIBUTE = 25, 7, 1, 15, 5
_TENSORS, _GRAPHS, _SPARSES = (5, 10), (6, 11), (22, 23)
_EXTERNAL_DATA, _LOCATION = 13, 14
_LONGEST_VARINT = 10
_FLOATS = {1, 10, 11, 16}  # float, float16, double, bfloat16
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def names_other_files(data: bytes) -> bool:
    """Whether any tensor of a model lies in a file beside it. ValueError for what is no ONNX."""
    try:
        return any(_of_model(number, part) for number, part in _fields(memoryview(data)))
    except (IndexError, RecursionError) as error:
        raise ValueError("no ONNX file") from error


def _of_model(number: int, part: int | memoryview) -> bool:
    if not isinstance(part, memoryview):
        return False
    if number == _GRAPH:
        return any(_of_graph(*field) for field in _fields(part))
    return number == _FUNCTIONS and any(
        inner == _FUNCTION_NODE and _is_named(node, _of_node) for inner, node in _fields(part)
    )


def _of_graph(number: int, part: int | memoryview) -> bool:
    if number == _NODE:
        return _is_named(part, _of_node)
    if number == _SPARSE:
        return _is_named(part, lambda _, tensor: _is_named(tensor, _of_tensor))
    return number == _INITIALIZER and _is_named(part, _of_tensor)


def _of_node(number: int, part: int | memoryview) -> bool:
    return number == _ATTRIBUTE and _is_named(part, _of_attribute)


def _of_attribute(number: int, part: int | memoryview) -> bool:
    if number in _GRAPHS:
        return _is_named(part, _of_graph)
    if number in _SPARSES:
        return _is_named(part, lambda _, tensor: _is_named(tensor, _of_tensor))
    return number in _TENSORS and _is_named(part, _of_tensor)


def _of_tensor(number: int, part: int | memoryview) -> bool:
    return number == _EXTERNAL_DATA or (number == _LOCATION and part == 1)


def _is_named(part: int | memoryview, found: Callable[[int, int | memoryview], bool]) -> bool:
    return isinstance(part, memoryview) and any(found(*field) for field in _fields(part))


def count_parameters(data: bytes) -> int:
    """Elements of all float initializers. The file must be one that ONNX Runtime has opened."""
    total = 0
    for number, graph in _fields(memoryview(data)):
        if number == _GRAPH and isinstance(graph, memoryview):
            for inner, tensor in _fields(graph):
                if inner == _INITIALIZER and isinstance(tensor, memoryview):
                    total += _elements(tensor)
    return total


def _elements(tensor: memoryview) -> int:
    dims: list[int] = []
    kind = 0
    for number, value in _fields(tensor):
        if number == _DIMS:
            dims += [value] if isinstance(value, int) else list(_packed(value))
        elif number == _DATA_TYPE and isinstance(value, int):
            kind = value
    return prod(dims) if kind in _FLOATS else 0


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message: varints as numbers, everything else as bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        yield tag >> 3, message[at : at + length]
        at += length


def _packed(values: memoryview) -> Iterator[int]:
    at = 0
    while at < len(values):
        value, at = _varint(values, at)
        yield value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 7 * _LONGEST_VARINT, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number without an end")
