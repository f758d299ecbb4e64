"""A sparse classifier whose neurons are read while it answers; no torch, no package onnx.

`onnx_writer.py` writes one ScatterElements for each sparse site, in the order of the layers, MLP
neurons before the residual stream. What comes out of it are the neurons, token by token.

Read with: `graph_wire.py` (how a graph gets more outputs), `steerable.py` (which sites there are).
"""

from pathlib import Path
from typing import Any, Final, NamedTuple, final

import numpy as np
from tokenizers import Encoding

from sparsepath.artifacts.neuron import Neuron
from sparsepath.errors import ConfigError, ModelError
from sparsepath.runtime.base import FloatArray
from sparsepath.runtime.graph_wire import outputs_of, with_outputs
from sparsepath.runtime.manifest import Precision, member, read_manifest
from sparsepath.runtime.session import open_session
from sparsepath.runtime.steerable import classifier_spots
from sparsepath.runtime.text import read_tokenizer

WATCHED: Final = "watched.onnx"
"""Graph that is written beside that of the model, since both share a file of weights."""


class Watched(NamedTuple):
    """A neuron in a text."""

    encoding: Encoding
    """The tokens that were read, special ones included."""
    values: FloatArray
    """Of the entry at each of them; 0 where it was not kept."""
    n_tokens: int
    """Of the whole text, read or not."""


@final
class WatchedClassifier:
    """One graph with its sparse sites as outputs."""

    def __init__(self, folder: Path, *, precision: Precision, threads: int) -> None:
        """Open a model.

        Args:
            folder: a copy of a model folder, into which a graph is written.
            precision: which graph.
            threads: threads of one matrix product.

        Raises:
            ModelError: if it is no single sparse classifier, or damaged.
        """
        manifest = read_manifest(folder)
        if manifest.kind != "single":
            raise ModelError(
                f"neurons of a model of the kind {manifest.kind} cannot be read",
                hint="serve a sparse classifier, such as RUN/models/topk-8th",
            )
        spots = classifier_spots(folder)
        path = member(folder, manifest.graph(folder, precision))
        model = path.read_bytes()
        names = outputs_of(model, "ScatterElements")
        if len(names) != len(spots):
            raise ModelError(
                f"{path.name} has {len(names)} sparse sites, its model {len(spots)}",
                hint="copy the model folder again, whole",
            )
        self._spots = {
            (layer, site): (name, width)
            for (layer, site, width), name in zip(spots, names, strict=True)
        }
        watched = path.with_name(WATCHED)
        watched.write_bytes(with_outputs(model, names))
        self._session: Any = open_session(
            watched,
            threads=threads,
            n_labels=len(manifest.labels),
            inputs=["input_ids", "attention_mask"],
        )
        self._tokenizer = read_tokenizer(folder)
        self._tokenizer.no_padding()
        self._longest = manifest.max_length

    def fired(self, text: str, neuron: Neuron) -> Watched:
        """Read a text.

        Args:
            text: without lone surrogates.
            neuron: whose entry is watched, both of its signs.

        Raises:
            ConfigError: if the model has no such neuron.
        """
        name, width = self._spots.get((neuron.layer, neuron.site), ("", 0))
        if neuron.index >= width:
            raise ConfigError(
                f"{neuron.name} is no neuron of a sparse site of this model",
                hint="take one that the model's catalogue lists",
            )
        self._tokenizer.no_truncation()
        n_all = len(self._tokenizer.encode(text).ids)
        self._tokenizer.enable_truncation(self._longest)
        encoding = self._tokenizer.encode(text)
        if not encoding.ids:
            return Watched(encoding, np.zeros(0, np.float32), n_all)
        ids = np.array([encoding.ids], np.int64)
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        (values,) = self._session.run([name], feeds)
        return Watched(encoding, values[0, :, neuron.index], n_all)
