"""Clusters of meaning of a text: every token's last words, grouped by a model's own embedding.

The vector of a position is the mean of the input embeddings of its last 16 tokens in the row, each
without the mean of all tokens and of length one. Vectors of a sample are grouped by spherical
k-means; each position then belongs to the nearest centre.

Shape letters: V vocabulary, D width of the embedding, N positions, C clusters.
"""

import numpy as np
from numpy.typing import NDArray

from sparsepath.concepts.recorded import Recorded

N_CLUSTERS = 64
"""Clusters, where there are enough positions."""

WINDOW = 16
"""Tokens of a context, the one itself included."""

N_SAMPLE, N_STEPS = 8192, 12
"""Positions that centres are made of, and steps of k-means."""

ROWS_AT_ONCE = 64

Floats = NDArray[np.float32]


def meaning_clusters(
    text: Recorded, embedding: Floats, seed: int = 0
) -> tuple[NDArray[np.uint8], int]:
    """Give the cluster of every position, [rows x length], and how many clusters there are.

    Args:
        text: of a recording.
        embedding: input embeddings of the model, [V, D].
        seed: draws the sample and the first centres.
    """
    weights = text.counts / max(1, text.counts.sum())
    centred = embedding - (weights @ embedding).astype(np.float32)
    centred = _unit(centred)
    random = np.random.default_rng(seed)
    n_rows = len(text.tokens)
    rows = random.permutation(n_rows)[: max(1, N_SAMPLE // text.length)]
    sample = np.concatenate([_contexts(text, slice(row, row + 1), centred) for row in rows])
    n_clusters = min(N_CLUSTERS, max(1, len(sample) // 8))
    centres = _centres(sample, n_clusters, random)
    found = np.empty(text.tokens.size, np.uint8)
    for start in range(0, n_rows, ROWS_AT_ONCE):
        vectors = _contexts(text, slice(start, start + ROWS_AT_ONCE), centred)
        part = slice(start * text.length, start * text.length + len(vectors))
        found[part] = (vectors @ centres.T).argmax(axis=1)
    return found, n_clusters


def _contexts(text: Recorded, rows: slice, embedding: Floats) -> Floats:
    """Give the vectors of all positions of some rows, [rows x length, D]."""
    sums = embedding[text.tokens[rows]].cumsum(axis=1)
    if text.texts is None:
        sums[:, WINDOW:] -= sums[:, :-WINDOW].copy()
    else:
        sums -= _before(sums, text.texts[rows])
    return _unit(sums.reshape(-1, embedding.shape[1]))


def _before(sums: Floats, texts: NDArray[np.generic]) -> Floats:
    """Give the sums before each window, which ends where its text begins."""
    places = np.broadcast_to(np.arange(texts.shape[1]), texts.shape)
    begins = np.ones(texts.shape, bool)
    begins[:, 1:] = texts[:, 1:] != texts[:, :-1]
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    last = np.maximum(first, places - WINDOW + 1) - 1
    padded = np.concatenate([np.zeros_like(sums[:, :1]), sums], axis=1)
    found: Floats = np.take_along_axis(padded, (last + 1)[..., None], axis=1)
    return found


def _centres(vectors: Floats, n: int, random: np.random.Generator) -> Floats:
    """Group unit vectors by the angle between them."""
    centres = vectors[random.permutation(len(vectors))[:n]].copy()
    for _ in range(N_STEPS):
        nearest = (vectors @ centres.T).argmax(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, vectors)
        is_used = np.bincount(nearest, minlength=n) > 0
        centres[is_used] = _unit(sums[is_used])
    return centres


def _unit(vectors: Floats) -> Floats:
    """Give vectors length one; those of length zero stay."""
    lengths = np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True))
    found: Floats = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return found
