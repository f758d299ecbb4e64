"""What is read of an ONNX file, and put into it, is what the package onnx reads in it."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from tests.steering.planted_folder import save_steerable

from sparsepath.errors import ModelError
from sparsepath.runtime.graph_wire import outputs_of, with_outputs


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = save_steerable(tmp_path_factory.mktemp("classifier"))
    (graph,) = folder.glob("*.onnx")
    return Path(graph).read_bytes()


@pytest.mark.parametrize("operator", ["ScatterElements", "Gather", "Softmax", "None"])
def test_nodes_are_found(content: bytes, operator: str) -> None:
    nodes = onnx.load_from_string(content).graph.node
    expected = [node.output[0] for node in nodes if node.op_type == operator]
    assert outputs_of(content, operator) == expected


def test_outputs_are_added_and_nothing_else_changes(content: bytes) -> None:
    names = [*outputs_of(content, "ScatterElements"), "x" * 300]
    before, after = (onnx.load_from_string(c) for c in (content, with_outputs(content, names)))
    added = after.graph.output[len(before.graph.output) :]
    assert [one.name for one in added] == names
    assert {one.type.tensor_type.elem_type for one in added} == {onnx.TensorProto.FLOAT}
    del after.graph.output[len(before.graph.output) :]
    assert after == before


@pytest.mark.parametrize("spoil", [lambda c: c[: len(c) // 2], lambda c: c[:1] + b"\xff" * 30])
def test_a_damaged_file_is_refused(content: bytes, spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ModelError, match="copy the model folder again"):
        outputs_of(spoil(content), "ScatterElements")
