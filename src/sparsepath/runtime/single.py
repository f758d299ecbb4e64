"""The engine of one graph."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from sparsepath.errors import ModelError, needs_extra
from sparsepath.runtime.base import Answers, Engine, FloatArray, Masks, token_batches
from sparsepath.runtime.manifest import Manifest, Precision, member
from sparsepath.runtime.session import open_session
from sparsepath.runtime.text import read_text_encoder

if TYPE_CHECKING:
    from sparsepath.artifacts.edit import Edit


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
        steering: "str | Sequence[Edit] | None" = None,
    ) -> None:
        """Open the graph, perhaps with edits in it, or those of a preset of the folder."""
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
            graph=None if steering is None else _steered(folder, path, steering),
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


def _steered(folder: Path, graph: Path, steering: "str | Sequence[Edit]") -> bytes:
    """Put edits, or a preset, into a graph.

    Raises:
        ConfigError: if there is no such preset, or a graph cannot do what it says.
        MissingExtraError: if the package onnx is not installed.
        ModelError: if the preset is of another model, or the folder holds no configuration.
    """
    # Late: a process that only predicts stays small without the schemas of artifacts.
    from sparsepath.artifacts.model_files import find_classifier, weights_sha256
    from sparsepath.artifacts.steering import read_preset
    from sparsepath.runtime.steerable import classifier_spots

    with needs_extra("train", "steering a classifier"):
        from sparsepath.runtime.steered_graph import steered_graph
    if find_classifier(folder) != folder:
        raise ModelError(
            f"{folder} has no config.json of a classifier, so edits cannot be put into its graph",
            hint="give the model's folder in its run, RUN/models/NAME",
        )
    if isinstance(steering, str):
        steering = read_preset(folder, steering, weights_sha256(folder)).edits
    return steered_graph(graph, steering, classifier_spots(folder))
