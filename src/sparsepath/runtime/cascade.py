"""An engine that asks light models first and heavier ones only where they are not sure.

Source: Viola and Jones 2001 for cascades; thresholds on the top probability as in Varshney and
Baral 2022, "Model Cascading", arXiv 2210.05528.
"""

from collections.abc import Sequence
from typing import final

import numpy as np

from sparsepath.runtime.base import Answers, Engine, FloatArray


@final
class CascadeEngine(Engine):
    """Models in turn; the first whose top probability reaches its threshold answers."""

    def __init__(self, engines: Sequence[Engine], thresholds: Sequence[float]) -> None:
        """Take engines of the same labels, lightest first, and a threshold for all but the last."""
        assert len(thresholds) == len(engines) - 1
        self.kind = "cascade"
        self.n_stages = len(engines)
        self.labels = engines[0].labels
        self.encoder = engines[0].encoder
        self._engines = list(engines)
        # The last model always answers.
        self._thresholds = [*thresholds, 0.0]

    def predict_one(self, text: str) -> FloatArray:
        """Return the probabilities of one text, [labels]."""
        for engine, threshold in zip(self._engines, self._thresholds, strict=True):
            row = engine.predict_one(text)
            if row.max() >= threshold:
                break
        return row

    def answer(self, texts: Sequence[str], batch_size: int = 1) -> Answers:
        """Return the probabilities of texts and the model that gave them."""
        probabilities = np.empty((len(texts), len(self.labels)), np.float32)
        stages = np.zeros(len(texts), np.int64)
        left = np.arange(len(texts))
        for stage, threshold in enumerate(self._thresholds):
            rows = self._engines[stage].predict([texts[row] for row in left.tolist()], batch_size)
            probabilities[left] = rows
            stages[left] = stage
            left = left[rows.max(axis=1, initial=0.0) < threshold]
            if not len(left):
                break
        return Answers(probabilities, stages)

    def stage_probabilities(self, texts: Sequence[str], batch_size: int = 1) -> FloatArray:
        """Return what every model says, [stages, texts, labels]."""
        return np.stack([engine.predict(texts, batch_size) for engine in self._engines])
