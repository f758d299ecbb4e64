"""A small builder of ONNX graphs: constants, nodes, and writing them to a folder.

Tensors go to a file of their own beside the graph, which ONNX Runtime maps into memory instead of
reading: peak memory halves, and of an embedding table only the rows that texts use are ever loaded.

Read with it: `onnx_writer.py`, which says what the graph of a classifier is.
"""

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET: Final = 20
"""Version of the standard operators; ONNX Runtime 1.17 and later run it."""

IR_VERSION: Final = 9
"""Version of the file format that belongs to `OPSET`."""

CONTRIB: Final = "com.microsoft"
"""Domain of ONNX Runtime's own fused operators."""

EXTERNAL_BYTES: Final = 1024
"""Tensors of at least this size go to the data file."""


class GraphBuilder:
    """Collects constants and nodes; every method returns the name of the value it made."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._n_values = 0

    def constant(self, values: np.ndarray, name: str) -> str:
        """Add a constant; `name` says what it is and is made unique."""
        unique = self._fresh(name)
        self._constants.append(numpy_helper.from_array(np.asarray(values, order="C"), unique))
        return unique

    def node(
        self,
        operator: str,
        inputs: list[str],
        *,
        domain: str = "",
        output: str | None = None,
        **attributes: Any,
    ) -> str:
        """Add a node with one output, named `output` or after the operator."""
        name = output or self._fresh(operator)
        self._add(operator, inputs, [name], domain, attributes)
        return name

    def nodes(
        self,
        operator: str,
        inputs: list[str],
        wanted: list[bool],
        *,
        domain: str = "",
        **attributes: Any,
    ) -> list[str]:
        """Add a node with several outputs; those that are not wanted have an empty name."""
        names = [self._fresh(operator) if is_wanted else "" for is_wanted in wanted]
        self._add(operator, inputs, names, domain, attributes)
        return names

    def save(self, path: Path, inputs: list[Any], outputs: list[Any]) -> None:
        """Write the graph to `path` and its large tensors to `path` + ".data".

        Each file is complete before it takes its name; the data file comes first.

        Args:
            path: file to write, in a folder that exists.
            inputs: from `value`.
            outputs: from `value`; their names must have been made by nodes.
        """
        graph = helper.make_graph(self._nodes, "classifier", inputs, outputs, self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="sparsepath")
        model.ir_version = IR_VERSION
        save_model(model, path)

    def _add(
        self,
        operator: str,
        inputs: list[str],
        outputs: list[str],
        domain: str,
        attributes: dict[str, Any],
    ) -> None:
        """Append a node named after its first output."""
        self._nodes.append(
            helper.make_node(
                operator, inputs, outputs, name=outputs[0], domain=domain, **attributes
            )
        )

    def _fresh(self, name: str) -> str:
        self._n_values += 1
        return f"{name}_{self._n_values}"


def save_model(model: Any, path: Path) -> None:
    """Write an ONNX model and its data file; each appears whole."""
    data = path.with_name(path.name + ".data")
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        onnx.save_model(
            model,
            str(folder / path.name),
            save_as_external_data=True,
            location=data.name,
            size_threshold=EXTERNAL_BYTES,
        )
        data.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # a graph of small tensors has none
            (folder / data.name).replace(data)
        (folder / path.name).replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def value(name: str, kind: int, axes: list[str | int]) -> Any:
    """Describe an input or output; axes are sizes or names of free sizes."""
    return helper.make_tensor_value_info(name, kind, axes)


FLOAT: Final[int] = TensorProto.FLOAT
INT32: Final[int] = TensorProto.INT32
INT64: Final[int] = TensorProto.INT64
