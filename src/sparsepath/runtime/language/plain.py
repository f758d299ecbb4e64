"""What the native code computes, in numpy: the definition, and the way without a library.

Shape letters: T tokens, D width, H heads, P positions so far, V vocabulary.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sparsepath.artifacts.neuron import Site
from sparsepath.kernels.by_input import Floats
from sparsepath.runtime.language.cache import Cache
from sparsepath.runtime.language.shape import Shape, rotations
from sparsepath.runtime.language.weights import Layer, Matrix, Weights
from sparsepath.trace.edits import Where, edited

Tap = Callable[[int, Site, Floats], None]
"""Is told layer, site and hidden states, [T, width], after TopK and edits."""


class LayerPass:
    """Runs layers one after the other on the tokens after those in a cache."""

    def __init__(
        self, shape: Shape, tokens: NDArray[np.int32], cache: Cache, tap: Tap | None = None
    ) -> None:
        """Take the tokens, which the cache has room for, and who looks on."""
        start, n = cache.length, len(tokens)
        self._shape, self._cache, self._tap = shape, cache, tap
        cosines, sines = (part[start:] for part in rotations(shape, start + n))
        self._turned = cosines, sines
        self._where = Where(np.arange(start, start + n), tokens, cache.n_prompt, {})

    def run(self, x: Floats, number: int, layer: Layer) -> Floats:
        """Run a layer on hidden states, [T, D]."""
        shape, cache = self._shape, self._cache
        spots = {} if cache.steering is None else cache.steering.spots

        def site(name: Site, hidden: Floats) -> Floats:
            hidden = sparse(hidden, shape.kept(name, number), shape, name)
            if (edits := spots.get((number, name))) is not None:
                hidden = edited(hidden, edits, self._where)
            if cache.trace is not None:
                cache.trace.note(number, name, hidden, cache.length)
            if self._tap is not None:
                self._tap(number, name, hidden)
            return hidden

        normed = site("attn_in", _norm(x, layer.attn_norm, shape.eps))
        heads = _attend(_times(normed, layer.qkv), number, shape, cache, self._turned)
        x = x + _times(site("attn_out", heads), layer.out)
        normed = site("mlp_in", _norm(x, layer.mlp_norm, shape.eps))
        gate, up = np.split(_times(normed, layer.gate_up), 2, axis=1)
        x = x + _times(site("mlp_hidden", _silu(gate) * up), layer.down)
        return site("block_out", x)


class PlainPass:
    """Runs a model with matrices written out in fp32."""

    def __init__(self, weights: Weights, tap: Tap | None = None) -> None:
        """Take the weights, which are written out one at a time, and who looks on."""
        self._weights = weights
        self._tap = tap

    def run(self, tokens: NDArray[np.int32], cache: Cache, n_logits: int) -> Floats:
        """Read tokens after those in the cache.

        Args:
            tokens: [T]; at least one, below the vocabulary.
            cache: of keys and values; longer by T afterwards.
            n_logits: of the last tokens; 0 to T.

        Returns:
            Logits, [n_logits, V].
        """
        weights, n = self._weights, len(tokens)
        layers = LayerPass(weights.shape, tokens, cache, self._tap)
        x_TD = _rows(weights.embedding, tokens)
        for number, layer in enumerate(weights.layers):
            x_TD = layers.run(x_TD, number, layer)
        cache.advance(tokens)
        final = _norm(x_TD[n - n_logits :], weights.final_norm, weights.shape.eps)
        return _times(final, weights.head)


def sparse(x: Floats, k: int, shape: Shape, site: Site) -> Floats:
    """Keep the first entries that are always on, and the k largest others, lowest index first.

    Args:
        x: rows.
        k: 0 keeps everything as it is.
        shape: says what is largest, and whether entries below zero are kept.
        site: where they are.
    """
    if not k:
        return x
    on = shape.n_always_on
    rest = x[:, on:]
    kept = rest
    if k < rest.shape[1]:
        sizes = np.abs(rest) if site in shape.magnitude_sites else rest
        order = np.argsort(-sizes, axis=1, kind="stable")[:, :k]
        kept = np.zeros_like(rest)
        np.put_along_axis(kept, order, np.take_along_axis(rest, order, axis=1), axis=1)
    if shape.is_positive:
        kept = np.maximum(kept, 0.0)
    return np.concatenate([x[:, :on], kept], axis=1)


def _attend(
    qkv: Floats, number: int, shape: Shape, cache: Cache, turned: tuple[Floats, Floats]
) -> Floats:
    """Put keys and values into the cache, and let each token look at those before it."""
    n, dim, kv = len(qkv), shape.head_dim, shape.n_kv_heads
    inner = qkv.reshape(n, -1, dim)
    q, k, v = np.split(inner, [shape.n_heads, shape.n_heads + kv], axis=1)
    start, end = cache.length, cache.length + n
    cache.write(number, _turn(k, turned).transpose(1, 0, 2), v.transpose(1, 0, 2))
    keys, values = cache.read(number, end)
    # [KV, group, T, dim] by [KV, 1, dim, P]
    grouped = _turn(q, turned).reshape(n, kv, -1, dim).transpose(1, 2, 0, 3)
    scores = grouped @ keys[:, None].transpose(0, 1, 3, 2) / np.sqrt(np.float32(dim))
    own, past = np.arange(start, end)[:, None], np.arange(end)
    is_hidden = past > own
    if shape.window:
        is_hidden |= past <= own - shape.window
    scores = np.where(is_hidden, -np.inf, scores)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    mixed: Floats = (shares @ values[:, None]).transpose(2, 0, 1, 3).reshape(n, -1)
    return mixed


def _turn(x: Floats, turned: tuple[Floats, Floats]) -> Floats:
    """Turn halves of each head by the token's position."""
    cosines, sines = (part[: len(x), None] for part in turned)
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * cosines - b * sines, b * cosines + a * sines], axis=-1)


def _norm(x: Floats, weight: Floats, eps: float) -> Floats:
    """Divide by the root mean square."""
    squares = np.mean(np.square(x, dtype=np.float64), axis=-1, keepdims=True)
    scaled: Floats = x * (1.0 / np.sqrt(squares + eps)).astype(np.float32) * weight
    return scaled


def _silu(x: Floats) -> Floats:
    """Multiply by the logistic function."""
    with np.errstate(over="ignore"):  # e^-x of a large negative x; the quotient is then 0
        y: Floats = (x / (1.0 + np.exp(-x))).astype(np.float32)
    return y


def _times(x: Floats, matrix: Matrix) -> Floats:
    """Multiply rows by a matrix."""
    y: Floats = x @ matrix.dense()
    return y if matrix.bias is None else y + matrix.bias


def _rows(matrix: Matrix, numbers: NDArray[np.int32]) -> Floats:
    """Give some rows of a matrix."""
    scales = None if matrix.scales is None else matrix.scales[numbers]
    return matrix._replace(rows=matrix.rows[numbers], scales=scales).dense()
