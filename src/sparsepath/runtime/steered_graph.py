"""Put a preset of a sparse classifier into its graph, so that ONNX Runtime answers steered.

`onnx_writer.py` writes one ScatterElements for each sparse site, in the order of the layers, MLP
neurons before the residual stream; behind it `x` becomes `factor * x + shift`, entry by entry.

Read with: `steerable.py` (which sites there are, and what a graph can do).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.neuron import Neuron
from sparsepath.errors import ConfigError, ModelError
from sparsepath.runtime.steerable import Spots, check_for_graph

SPARSE = "ScatterElements"
"""Operator that a sparse site ends with."""


def steered_graph(path: Path, edits: Sequence[Edit], spots: Spots) -> bytes:
    """Give a graph with edits in it.

    Args:
        path: the `.onnx` file.
        edits: that hold at every token, which do not contradict each other.
        spots: sparse sites of its model.

    Raises:
        ConfigError: if an edit depends on the place in a text, or a neuron is out of range.
        ModelError: if the graph is not that of the model.
    """
    check_for_graph(edits)
    model = onnx.load(str(path))
    nodes = list(model.graph.node)
    sites = [number for number, node in enumerate(nodes) if node.op_type == SPARSE]
    if len(sites) != len(spots):
        raise ModelError(
            f"{path} has {len(sites)} sparse sites, its model {len(spots)}",
            hint="copy the model folder again, whole",
        )
    for number, (layer, site, width) in reversed(list(zip(sites, spots, strict=True))):
        own = [edit for edit in edits if edit.place[:2] == (layer, site)]
        if not own:
            continue
        factor, shift = _sums(own, width)
        node = nodes[number]
        before, name = f"{node.output[0]}.unsteered", node.output[0]
        node.output[0] = before
        model.graph.initializer.extend(
            [
                numpy_helper.from_array(factor, f"{name}.factor"),
                numpy_helper.from_array(shift, f"{name}.shift"),
            ]
        )
        scaled = helper.make_node("Mul", [before, f"{name}.factor"], [f"{name}.scaled"])
        nodes[number + 1 : number + 1] = [
            scaled,
            helper.make_node("Add", [f"{name}.scaled", f"{name}.shift"], [name]),
        ]
    _check_all_known(edits, spots)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    found: bytes = model.SerializeToString()
    return found


def _sums(edits: Sequence[Edit], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Give factor and shift of every entry of a site."""
    factor, shift = np.ones(width, np.float32), np.zeros(width, np.float32)
    for edit in edits:
        if edit.place.index >= width:
            raise _no_neuron(edit.place)
        factor[edit.place.index], shift[edit.place.index] = edit.factor, edit.shift
    return factor, shift


def _check_all_known(edits: Sequence[Edit], spots: Spots) -> None:
    """See that each edit is of a sparse site."""
    known = {(layer, site) for layer, site, _ in spots}
    for edit in edits:
        if edit.place[:2] not in known:
            raise _no_neuron(edit.place)


def _no_neuron(place: Neuron) -> ConfigError:
    return ConfigError(
        f"{place.name} is no neuron of a sparse site of this model",
        hint="save the preset anew, which checks it: sparsepath steering save",
    )
