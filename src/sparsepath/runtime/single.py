"""The engine of one graph."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from sparsepath.runtime.base import Answers, Engine, FloatArray, Masks, token_batches
from sparsepath.runtime.manifest import Manifest, Precision, member
from sparsepath.runtime.session import open_session
from sparsepath.runtime.text import read_text_encoder


@final
class SingleEngine(Engine):
    """One model, asked once for every text."""

    def __init__(
        self, folder: Path, manifest: Manifest, *, threads: int, precision: Precision
    ) -> None:
        self.kind = "single"
        self.n_stages = 1
        self.labels = manifest.labels
        self.encoder = read_text_encoder(folder, manifest.max_length, manifest.pad_id)
        self._masks = Masks()
        self._session: Any = open_session(
            member(folder, manifest.graph(folder, precision)),
            threads=threads,
            n_labels=len(self.labels),
            inputs=["input_ids", "attention_mask"],
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
