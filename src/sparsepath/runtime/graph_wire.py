"""What of an ONNX file is needed to look inside it, without the package onnx.

A file is one protobuf message, of fields with a number each. Two such messages one after the other
are read as one with the fields of both, so a graph gets one more output by what is appended to it.

Source: https://protobuf.dev/programming-guides/encoding/ (wire types, "last one wins" and merging)
and the message numbers of `onnx.proto`, which do not change.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from sparsepath.errors import ModelError

_GRAPH: Final = 7
"""Of a model."""
_NODE, _OUTPUT = 1, 12
"""Of a graph."""
_NODE_OUTPUT, _OPERATOR = 2, 4
"""Of a node."""
_FLOAT: Final = b"\x12\x04\x0a\x02\x08\x01"
"""Field 2 of a described value: a tensor of float32."""
_FIXED: Final = {1: 8, 5: 4}
"""Wire type to bytes."""


def outputs_of(model: bytes, operator: str) -> list[str]:
    """Name the first output of every node with an operator, in the order of the graph.

    Args:
        model: content of an `.onnx` file.
        operator: such as `ScatterElements`.

    Raises:
        ModelError: if it is no such file.
    """
    found = []
    try:
        for node in _parts(_one(model, _GRAPH), _NODE):
            if _one(node, _OPERATOR) == operator.encode():
                found.append(_one(node, _NODE_OUTPUT).decode())
    except (IndexError, ValueError) as err:
        raise ModelError(
            f"the graph is damaged: {err}", hint="copy the model folder again, whole"
        ) from err
    return found


def with_outputs(model: bytes, names: Sequence[str]) -> bytes:
    """Give a model that also tells values of its inside, which are of float32.

    Args:
        model: content of an `.onnx` file.
        names: of the values.
    """
    told = b"".join(_field(_OUTPUT, _field(1, name.encode()) + _FLOAT) for name in names)
    return model + _field(_GRAPH, told)


def _one(message: bytes, number: int) -> bytes:
    """Give the first field with a number; empty where there is none."""
    return next(_parts(message, number), b"")


def _parts(message: bytes, wanted: int) -> Iterator[bytes]:
    """Give the texts, bytes and messages that are fields with a number."""
    at = 0
    while at < len(message):
        key, at = _integer(message, at)
        kind = key & 7
        if kind == 0:
            _, at = _integer(message, at)
        elif kind in _FIXED:
            at += _FIXED[kind]
        elif kind == 2:
            size, at = _integer(message, at)
            if at + size > len(message):
                raise ValueError("a field is cut off")
            if key >> 3 == wanted:
                yield message[at : at + size]
            at += size
        else:
            raise ValueError(f"a field of the unknown kind {kind}")


def _integer(message: bytes, at: int) -> tuple[int, int]:
    """Read an integer of seven bits a byte; give it and the place after it."""
    value = shift = 0
    while shift < 70:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("a number without an end")


def _field(number: int, content: bytes) -> bytes:
    return _written(number << 3 | 2) + _written(len(content)) + content


def _written(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
