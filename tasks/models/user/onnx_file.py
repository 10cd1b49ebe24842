"""Just enough of the ONNX file format to count what a network learned.

Fields by number, as in onnx.proto3 (github.com/onnx/onnx): ModelProto.graph 7,
GraphProto.initializer 5, TensorProto.dims 1 and data_type 2. ONNX Runtime's Python side tells
inputs and outputs only, and the `onnx` package is a heavy thing to need for one number.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

_GRAPH, _INITIALIZER, _DIMS, _DATA_TYPE = 7, 5, 1, 2
_FLOATS = {1, 10, 11, 16}  # float, float16, double, bfloat16
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


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
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
