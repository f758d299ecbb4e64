"""What of a sparse classifier's folder can be steered; needs neither torch nor the package onnx.

Usual values of neurons are those of `neurons.json` in the model's folder: of each the size of its
strongest value in training texts.

Read with: `steered_graph.py` (how edits come into a graph).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.neuron import IN_ORDER, Neuron, Site
from sparsepath.artifacts.neurons import NEURONS_FILE, NeuronsFile
from sparsepath.artifacts.store import read_json
from sparsepath.errors import ConfigError, ModelError
from sparsepath.trace.edits import Sites, Spot
from sparsepath.trace.ranges import Range, Ranges

Spots = Sequence[tuple[int, Site, int]]
"""Layer, site and width of every sparse site, in the order of the graph."""


def sparse_spots(config: dict[str, Any]) -> Spots:
    """List the sparse sites of a classifier from its `config.json`.

    Args:
        config: its content.
    """
    encoder = config["encoder"]
    width = int(encoder.get("hidden_size") or encoder.get("dim"))
    found: list[tuple[int, Site, int]] = []
    for layer in config["layers"]:
        for site in IN_ORDER:
            if site in layer.get("topk", {}):
                size = int(layer["neurons"]) if site == "mlp_hidden" else width
                found.append((int(layer["source"]), site, size))
    return found


def classifier_spots(folder: Path) -> Spots:
    """List the sparse sites of the classifier in a folder.

    Raises:
        ModelError: if it has none, or its `config.json` cannot be read.
    """
    try:
        found = sparse_spots(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise ModelError(
            f"{folder} has no config.json of a classifier, so nothing in it can be steered",
            hint="give the model's folder in its run, RUN/models/NAME",
        ) from err
    if not found:
        raise ModelError(
            "a dense classifier has no neurons that could be steered one by one",
            hint="make it sparse with: sparsepath convert MODEL TABLE --k K",
        )
    return found


def classifier_sites(spots: Spots) -> Sites:
    """Give what a classifier has that can be edited."""
    widths: dict[Spot, int] = {(layer, site): width for layer, site, width in spots}
    return Sites(n_layers=1 + max(layer for layer, _ in widths), widths={}, spots=widths)


def classifier_ranges(folder: Path, spots: Mapping[Spot, int]) -> Ranges:
    """Read the usual values of a classifier's neurons.

    Args:
        folder: of the model.
        spots: entries of its sparse sites.

    Raises:
        ModelError: if the folder has no `neurons.json`, or that of another model.
        RunError: if it is damaged.
    """
    path = folder / NEURONS_FILE
    if not path.is_file():
        raise ModelError(
            f"{folder} has no {NEURONS_FILE}, so no usual values of its neurons are known",
            hint="give a model folder that `sparsepath poc` or `sparsepath convert` made, whole",
        )
    found = ranges_of(read_json(path, NeuronsFile), spots)
    if found is None:
        raise ModelError(
            f"{path} tells of other neurons than the model has",
            hint="copy the model folder again, whole",
        )
    return found


def ranges_of(told: NeuronsFile, spots: Mapping[Spot, int]) -> Ranges | None:
    """Give the usual values of neurons; None where some are missing."""
    known = {
        Neuron.parse(neuron.name): max((abs(e.strength) for e in neuron.examples), default=0.0)
        for neuron in told.neurons
    }
    found: dict[Spot, Range] = {}
    for spot, width in spots.items():
        own = [known.get(Neuron(*spot, index)) for index in range(width)]
        if None in own:
            return None
        largest = np.array(own, np.float32)
        found[spot] = Range(largest, float((largest**2).sum()), int((largest > 0).sum()))
    return found


def check_for_graph(edits: Sequence[Edit]) -> None:
    """See that edits act at every token and always, which is what a graph can do.

    Raises:
        ConfigError: if one does not.
    """
    for edit in edits:
        if edit.only_if is not None or edit.positions not in ("all", "prompt"):
            raise ConfigError(
                f"{edit} depends on the place in the text, which a graph cannot look at",
                hint="use sparsepath.steer in Python, or a preset without conditions and positions",
            )
