"""The engine of a self-ensemble: one graph, asked several times with other sources of attention.

Each member of a text, in each layer, sees a random share of the tokens as sources. The members of a
text go through the graph as one batch, and their probabilities are averaged. What is drawn follows
from the folder's seed and the length of the text alone, so the same text gets the same answer on
every machine, whatever was asked before.

Source: Hussain et al. 2023, arXiv 2306.01705: inference as a self-ensemble.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from sparsepath.runtime.base import Answers, Engine, FloatArray
from sparsepath.runtime.manifest import Manifest, Precision, member
from sparsepath.runtime.session import open_session
from sparsepath.runtime.text import read_text_encoder

N_KNOWN_LENGTHS = 256
"""Lengths of texts whose draws are kept."""


@final
class SelfEnsembleEngine(Engine):
    """Several random sub-models of one model, averaged."""

    def __init__(
        self, folder: Path, manifest: Manifest, *, threads: int, precision: Precision
    ) -> None:
        self.kind = "self-ensemble"
        self.n_stages = 1
        self.labels = manifest.labels
        self.encoder = read_text_encoder(folder, manifest.max_length, manifest.pad_id)
        self._manifest = manifest
        self._drawn: dict[int, NDArray[np.int32]] = {}
        self._session: Any = open_session(
            member(folder, manifest.graph(folder, precision)),
            threads=threads,
            n_labels=len(self.labels),
            inputs=["input_ids", "attention_mask", "sources"],
        )

    def predict_one(self, text: str) -> FloatArray:
        """Return the mean probabilities of one text, [labels]."""
        mean: FloatArray = self.members(text).mean(axis=0)
        return mean

    def members(self, text: str) -> FloatArray:
        """Return the probabilities of each member, [members, labels]."""
        ids = self.encoder.encode(text)
        n = self._manifest.members
        feeds = {
            "input_ids": np.tile(np.array(ids, np.int64), (n, 1)),
            "attention_mask": np.ones((n, len(ids)), np.int64),
            "sources": self._sources(len(ids)),
        }
        found: FloatArray = self._session.run(["probabilities"], feeds)[0]
        return found

    def answer(self, texts: Sequence[str], batch_size: int = 1) -> Answers:
        """Return the mean probabilities of texts; the members of each are its batch."""
        found = np.empty((len(texts), len(self.labels)), np.float32)
        for row, text in enumerate(texts):
            found[row] = self.predict_one(text)
        return Answers(found, np.zeros(len(texts), np.int64))

    def stage_probabilities(self, texts: Sequence[str], batch_size: int = 1) -> FloatArray:
        """Return the probabilities as those of the only stage, [1, texts, labels]."""
        return self.predict(texts, batch_size)[None]

    def _sources(self, n_tokens: int) -> NDArray[np.int32]:
        """Say which tokens each member sees in each layer, [members, layers, tokens]."""
        known = self._drawn.get(n_tokens)
        if known is None:
            known = draw_members(
                self._manifest.members,
                self._manifest.layers,
                n_tokens,
                keep=self._manifest.keep,
                seed=self._manifest.seed,
            )
            if len(self._drawn) < N_KNOWN_LENGTHS:
                self._drawn[n_tokens] = known
        return known


def draw_members(
    members: int, layers: int, n_tokens: int, *, keep: float, seed: int
) -> NDArray[np.int32]:
    """Draw the sources of each member and layer: uniformly, as many as in training.

    Args:
        members: sub-models.
        layers: layers that attend.
        n_tokens: tokens of the text, at least 1.
        keep: share of the tokens that are seen, above 0 and up to 1; at least one is.
        seed: decides the draw, together with the number of tokens.

    Returns:
        1 where a token is seen, [members, layers, tokens].
    """
    rng = np.random.default_rng([seed, n_tokens])
    n_kept = max(1, round(keep * n_tokens))
    order = rng.random((members, layers, n_tokens)).argsort(axis=-1)
    return (order.argsort(axis=-1) < n_kept).astype(np.int32)
