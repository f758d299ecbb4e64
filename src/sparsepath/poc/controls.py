"""What a sceptic compares with: the notes of all controls, and TF-IDF as an engine."""

from collections.abc import Sequence

import numpy as np

from sparsepath.poc.baselines import fit_tfidf_control
from sparsepath.poc.workspace import MODELS_FOLDER, Workspace
from sparsepath.runtime.base import Answers, Engine, FloatArray
from sparsepath.runtime.engine import load_engine

CONTROL_NOTES = {
    "tf-idf": "TF-IDF with logistic regression: no neural network at all",
    "frozen-encoder": "Logistic regression on the frozen base encoder, which was not fine-tuned",
    "word-embeddings": "Logistic regression on the mean of the base encoder's embedding layer",
    "random": "Random units of the same number in random layers, repaired and trained alike",
    "layer-drop": "The first layers whole, about as many units, repaired and trained alike",
    "scratch": "The same shape with random weights, trained alike on the full model's answers",
}
"""Every control in one sentence."""


class TfidfEngine(Engine):
    """TF-IDF with logistic regression, fitted anew; it is never written to a file."""

    def __init__(self, work: Workspace) -> None:
        """Fit on the training rows, unless that was done in this process."""
        self._fitted = fit_tfidf_control(work)
        self.labels, self.kind, self.n_stages = work.label_names, "single", 1
        self.encoder = load_engine(work.path(f"{MODELS_FOLDER}/word-embeddings")).encoder

    @property
    def n_parameters(self) -> int:
        """Weights, biases and inverse document frequencies."""
        return self._fitted.n_parameters

    @property
    def size_bytes(self) -> int:
        """Bytes of the parameters in float64 and of the words."""
        words = sum(len(word.encode()) for word in self._fitted.vectorizer.vocabulary_)
        return 8 * self.n_parameters + words

    def predict_one(self, text: str) -> FloatArray:
        """Return the probabilities of one text, [labels]."""
        probabilities: FloatArray = self.answer([text]).probabilities[0]
        return probabilities

    def answer(self, texts: Sequence[str], batch_size: int = 1) -> Answers:
        """Return the probabilities of texts; the batch size changes nothing."""
        found = self._fitted.probabilities(texts).astype(np.float32)
        return Answers(found, np.zeros(len(texts), np.int64))

    def stage_probabilities(self, texts: Sequence[str], batch_size: int = 1) -> FloatArray:
        """Return the probabilities of the only stage, [1, texts, labels]."""
        return self.answer(texts).probabilities[None]
