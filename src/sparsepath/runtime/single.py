"""The engine of one graph."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from sparsepath.errors import ModelError, needs_extra
from sparsepath.runtime.base import Answers, Engine, FloatArray, Masks, token_batches
from sparsepath.runtime.manifest import Manifest, Precision, member
from sparsepath.runtime.session import open_session
from sparsepath.runtime.text import read_text_encoder


@final
class SingleEngine(Engine):
    """One model, asked once for every text."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        threads: int,
        precision: Precision,
        preset: str | None = None,
    ) -> None:
        """Open the graph, perhaps with the edits of a preset of the folder in it."""
        self.kind = "single"
        self.n_stages = 1
        self.labels = manifest.labels
        self.encoder = read_text_encoder(folder, manifest.max_length, manifest.pad_id)
        self._masks = Masks()
        path = member(folder, manifest.graph(folder, precision))
        self._session: Any = open_session(
            path,
            threads=threads,
            n_labels=len(self.labels),
            inputs=["input_ids", "attention_mask"],
            graph=None if preset is None else _steered(folder, path, preset),
        )

    def predict_one(self, text: str) -> FloatArray:
        """Return the probabilities of one text, [labels]."""
        ids = self.encoder.encode(text)
        feeds = {
            "input_ids": np.array([ids], np.int64),
            "attention_mask": self._masks.of(len(ids)),
        }
        row: FloatArray = self._session.run(["probabilities"], feeds)[0][0]
        return row

    def answer(self, texts: Sequence[str], batch_size: int = 1) -> Answers:
        """Return the probabilities of texts; the stage is always 0."""
        probabilities = self._run("probabilities", texts, batch_size)
        return Answers(probabilities, np.zeros(len(texts), np.int64))

    def logits(self, texts: Sequence[str], batch_size: int = 1) -> FloatArray:
        """Return the scores before softmax, [texts, labels]."""
        return self._run("logits", texts, batch_size)

    def stage_probabilities(self, texts: Sequence[str], batch_size: int = 1) -> FloatArray:
        """Return the probabilities as those of the only stage, [1, texts, labels]."""
        return self.predict(texts, batch_size)[None]

    def _run(self, output: str, texts: Sequence[str], batch_size: int) -> FloatArray:
        """Fetch one output for texts, in their order."""
        result = np.empty((len(texts), len(self.labels)), np.float32)
        for batch in token_batches(self.encoder, texts, batch_size):
            feeds = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
            result[batch.rows] = self._session.run([output], feeds)[0]
        return result


def _steered(folder: Path, graph: Path, name: str) -> bytes:
    """Put a preset into a graph.

    Raises:
        ConfigError: if there is no such preset, or a graph cannot do what it says.
        MissingExtraError: if the package onnx is not installed.
        ModelError: if the preset is of another model, or the folder holds no configuration.
    """
    # Late: a process that only predicts stays small without the schemas of artifacts.
    from sparsepath.artifacts.model_files import find_classifier, weights_sha256
    from sparsepath.artifacts.steering import read_preset

    with needs_extra("train", "a preset of a classifier"):
        from sparsepath.runtime.steered_graph import sparse_spots, steered_graph
    if find_classifier(folder) != folder:
        raise ModelError(
            f"{folder} has no config.json of a classifier, so presets cannot be put into its graph",
            hint="give the model's folder in its run, RUN/models/NAME",
        )
    preset = read_preset(folder, name, weights_sha256(folder))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return steered_graph(graph, preset.edits, sparse_spots(config))
