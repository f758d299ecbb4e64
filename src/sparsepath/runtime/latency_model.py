"""Predicts how long a sub-model takes before it is made, from a few timed ones.

At batch 1 a layer costs a fixed part per sublayer (norms, dispatch), a part per head and per neuron
(arithmetic), and a part per byte that depends on how many bytes there are: weights that no longer
fit into a cache are read from a slower one each time, so the price of a byte rises in steps. The
model is linear in those features with coefficients that are never negative, fitted to relative
errors. Values of weights do not matter, so the timed graphs are cut from the parent's own tensors.

Read with it: `timing.py` (how times are taken), `pathways.search` (what the predictions are for).
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from sparsepath.models.weights import Affine, AttentionWeights, EncoderWeights, MlpWeights
from sparsepath.runtime.base import Masks
from sparsepath.runtime.onnx_writer import write_onnx
from sparsepath.runtime.session import open_session
from sparsepath.runtime.timing import time_interleaved

Shape = Sequence[tuple[int, int]]
"""Heads and neurons of every layer that is present."""

BLOCK: Final = 6
"""Rows of one turn."""

MIN_BLOCKS: Final = 3
"""Turns of every timed graph, however short the budget."""

GROUP_BYTES: Final = 512 * 2**20
"""Weights of graphs that are open together, so that fitting fits into memory."""

N_ROWS: Final = 32
"""Texts drawn."""

WORDS: Final = 2000
"""Word embeddings of a timed graph; the number of rows does not change the time."""

KNOTS_BYTES: Final = tuple(2.0**power for power in range(19, 31))
"""Sizes of all weights, 512 KiB to 1 GiB, from which a byte may cost more: cache sizes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LatencyModel:
    """Milliseconds per text as a function of heads and neurons in each layer."""

    fixed_ms: float
    """Without any layer: tokenization, embeddings, pooling, classifier."""

    layer_ms: float
    """Per layer that is present, even without units."""

    attention_ms: float
    """Per attention with at least one head."""

    head_ms: float
    """Per head."""

    mlp_ms: float
    """Per MLP with at least one neuron."""

    neuron_ms: float
    """Per neuron."""

    knots_ms: tuple[float, ...]
    """Per byte beyond each size in `knots_bytes`."""

    knots_bytes: tuple[float, ...]
    """Sizes from which bytes cost more."""

    head_bytes: int
    """Weights of a head."""

    neuron_bytes: int
    """Weights of a neuron."""

    tokens: float
    """Mean length of the texts it was fitted on, in tokens."""

    threads: int
    """Threads it was fitted with."""

    fit_error: float
    """Median relative error on the timed graphs themselves, 0 to 1."""

    def predict_ms(self, shape: Shape) -> float:
        """Return the predicted median milliseconds of one text, from text to probabilities."""
        total, n_heads, n_neurons = self.fixed_ms + self.layer_ms * len(shape), 0, 0
        for heads, neurons in shape:
            n_heads += heads
            n_neurons += neurons
            total += self.attention_ms * (heads > 0) + self.mlp_ms * (neurons > 0)
        n_bytes = n_heads * self.head_bytes + n_neurons * self.neuron_bytes
        total += n_heads * self.head_ms + n_neurons * self.neuron_ms
        for size, price in zip(self.knots_bytes, self.knots_ms, strict=True):
            if n_bytes <= size:
                break
            total += (n_bytes - size) * price
        return total


def at_present_speed(predicted_ms: float, anchors: Sequence[tuple[float, float]]) -> float:
    """Correct a prediction for what the machine's speed did since the model was fitted.

    A machine that others share is a tenth or more faster or slower a few minutes later, and its
    caches not alike for small and large models. So a prediction says how a shape compares with
    models that are timed beside it: the correction is theirs, straight between them in logarithms.

    Args:
        predicted_ms: what the model of latencies said.
        anchors: (predicted, measured) milliseconds of at least one other model, all above 0.
    """
    known = sorted((np.log(before), np.log(now / before)) for before, now in anchors)
    places, changes = zip(*known, strict=True)
    return predicted_ms * float(np.exp(np.interp(np.log(predicted_ms), places, changes)))


def fit_latency(
    weights: EncoderWeights,
    lengths: Sequence[int],
    *,
    tokenize: Callable[[int], object] | None = None,
    threads: int = 1,
    budget_s: float = 20.0,
    seed: int = 0,
) -> LatencyModel:
    """Time sub-models of many shapes and fit a model of their latency.

    Args:
        weights: the parent; only its shapes matter.
        lengths: numbers of tokens of texts as they will come; a sample of them is drawn.
        tokenize: tokenizes the text at that place in `lengths`, which is timed as well; without
            it, predictions leave tokenization out.
        threads: threads of the engine.
        budget_s: seconds for timing; each graph is timed at least a few times.
        seed: draws shapes, lengths and orders.
    """
    rng = np.random.default_rng(seed)
    shapes = timed_shapes(weights.shape, rng)
    rows = _draw_rows(weights, lengths, tokenize, rng)
    medians: list[float] = []
    for group in _groups(weights, shapes):
        share = budget_s * len(group) / len(shapes)
        medians += _time_group(weights, group, rows, threads=threads, max_s=share, rng=rng)
    tokens = float(np.mean([len(ids) for ids in rows.ids]))
    return _fit(weights, shapes, np.array(medians), tokens, threads)


def timed_shapes(full: Shape, rng: np.random.Generator, n_random: int = 16) -> list[Shape]:
    """Choose shapes that tell the parts of the cost apart: whole layers, single parts, random ones.

    Args:
        full: shape of the parent.
        rng: draws the random ones.
        n_random: how many of them.
    """
    if not full:
        return [[]]
    depths = sorted({round(depth) for depth in np.linspace(1, len(full), min(6, len(full)))})
    heads, neurons = max(h for h, _ in full), max(m for _, m in full)
    shapes: list[Shape] = [[], *(list(full)[:depth] for depth in depths)]
    shapes += [[(heads, 0)], [(0, neurons)], [(1, min(32, neurons))], [(heads // 2, neurons // 2)]]
    shapes += [[(0, min(32, neurons))] * len(full), [(min(1, heads), 0)] * len(full)]
    for number in range(n_random):
        # Small models are as important as large ones, though they take less of the time.
        depth = 1 + number % len(full)
        width = rng.uniform(0.1, 1.0, size=(depth, 2))
        shapes.append(
            [
                (round(h * float(a)), min(m, 32 * round(m * float(b) / 32)))
                for (h, m), (a, b) in zip(full, width, strict=False)
            ]
        )
    unique = {tuple(shape): shape for shape in shapes}
    return list(unique.values())


def cut_to_shape(weights: EncoderWeights, shape: Shape) -> EncoderWeights:
    """Cut the first layers of a parent to a shape; a model with these numbers is of no use."""
    layers = [
        replace(
            layer,
            attention=_cut_attention(layer.attention, heads),
            mlp=_cut_mlp(layer.mlp, neurons),
        )
        for layer, (heads, neurons) in zip(weights.layers, shape, strict=False)
    ]
    return replace(weights, words=weights.words[:WORDS], layers=tuple(layers))


def _cut_attention(part: AttentionWeights, n_heads: int) -> AttentionWeights:
    size = n_heads * part.head_dim
    return replace(
        part,
        query=_first_outputs(part.query, size),
        key=_first_outputs(part.key, size),
        value=_first_outputs(part.value, size),
        output=replace(part.output, weight=part.output.weight[:size]),
        n_heads=n_heads,
    )


def _cut_mlp(part: MlpWeights, size: int) -> MlpWeights:
    return replace(
        part,
        inner=_first_outputs(part.inner, size),
        gate=None if part.gate is None else _first_outputs(part.gate, size),
        output=replace(part.output, weight=part.output.weight[:size]),
    )


def _first_outputs(part: Affine, size: int) -> Affine:
    bias = None if part.bias is None else part.bias[:size]
    return Affine(weight=part.weight[:, :size], bias=bias)


def _unit_bytes(weights: EncoderWeights) -> tuple[int, int]:
    """Bytes of the weights of a head and of a neuron."""
    if not weights.layers:
        return 0, 0
    layer = weights.layers[0]
    matrices = 2 if layer.mlp.gate is None else 3
    return 16 * weights.width * layer.attention.head_dim, 4 * matrices * weights.width


def _n_bytes(weights: EncoderWeights, shape: Shape) -> int:
    head, neuron = _unit_bytes(weights)
    return sum(heads * head + neurons * neuron for heads, neurons in shape)


def _groups(weights: EncoderWeights, shapes: Sequence[Shape]) -> Iterator[list[Shape]]:
    """Cut the list where the open graphs would take too much memory."""
    group: list[Shape] = []
    size = 0
    for shape in shapes:
        more = _n_bytes(weights, shape)
        if group and size + more > GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(shape)
        size += more
    yield group


class _Rows(NamedTuple):
    """Made-up token ids as long as real texts, and how to tokenize those texts."""

    ids: list[list[int]]
    tokenize: list[Callable[[], object]]


def _draw_rows(
    weights: EncoderWeights,
    lengths: Sequence[int],
    tokenize: Callable[[int], object] | None,
    rng: np.random.Generator,
) -> _Rows:
    """Draw texts; ids are made up, since a timed graph has few words."""
    places = rng.integers(0, len(lengths), size=N_ROWS).tolist()
    n_words = len(weights.words[:WORDS])
    ids = [
        rng.integers(0, n_words, size=min(max(lengths[place], 1), weights.max_length)).tolist()
        for place in places
    ]
    if tokenize is None:
        return _Rows(ids, [_nothing] * len(ids))
    return _Rows(ids, [partial(tokenize, place) for place in places])


def _nothing() -> None:
    """Stand for tokenization where it is left out."""


def _time_group(
    weights: EncoderWeights,
    shapes: Sequence[Shape],
    rows: _Rows,
    *,
    threads: int,
    max_s: float,
    rng: np.random.Generator,
) -> list[float]:
    """Return the median milliseconds of each shape."""
    with tempfile.TemporaryDirectory(prefix="sparsepath-") as folder:
        calls: dict[str, Callable[[int], object]] = {}
        for number, shape in enumerate(shapes):
            path = Path(folder) / f"{number}.onnx"
            write_onnx(cut_to_shape(weights, shape), path)
            calls[str(number)] = _call(path, weights.n_labels, rows, threads)
        blocks = np.stack([rng.permutation(len(rows.ids))[:BLOCK] for _ in range(400)])
        first = time_interleaved(calls, blocks[:MIN_BLOCKS], rng=rng)
        more = time_interleaved(calls, blocks[MIN_BLOCKS:], rng=rng, max_s=max_s)
        calls.clear()
    times = [np.concatenate([first[name], more[name]]) for name in first]
    return [float(np.median(samples)) for samples in times]


def _call(path: Path, n_labels: int, rows: _Rows, threads: int) -> Callable[[int], object]:
    """Run a graph on a row as `SingleEngine.predict_one` does."""
    session = open_session(
        path, threads=threads, n_labels=n_labels, inputs=["input_ids", "attention_mask"]
    )
    masks = Masks()
    all_ids, tokenize = rows

    def call(row: int) -> object:
        tokenize[row]()
        ids = all_ids[row]
        feeds = {"input_ids": np.array([ids], np.int64), "attention_mask": masks.of(len(ids))}
        return session.run(["probabilities"], feeds)[0][0]

    return call


def _features(weights: EncoderWeights, shape: Shape, knots: Sequence[float]) -> list[float]:
    n_bytes = _n_bytes(weights, shape)
    counts = (
        1,
        len(shape),
        sum(heads > 0 for heads, _ in shape),
        sum(heads for heads, _ in shape),
        sum(neurons > 0 for _, neurons in shape),
        sum(neurons for _, neurons in shape),
    )
    return [*map(float, counts), *(max(0.0, n_bytes - knot) for knot in knots)]


def _fit(
    weights: EncoderWeights,
    shapes: Sequence[Shape],
    measured_ms: NDArray[np.float64],
    tokens: float,
    threads: int,
) -> LatencyModel:
    """Solve the non-negative least squares of relative errors."""
    largest = _n_bytes(weights, weights.shape)
    knots = [knot for knot in KNOTS_BYTES if knot < largest]
    features = np.array([_features(weights, shape, knots) for shape in shapes])
    # Columns come to like size, so that the solver's tolerance treats them alike.
    size = np.maximum(np.abs(features).max(axis=0), 1e-12)
    solved, _ = nnls(features / size / measured_ms[:, None], np.ones(len(shapes)))
    found = [float(value) for value in solved / size]
    error = np.median(np.abs(features @ np.array(found) / measured_ms - 1.0))
    head_bytes, neuron_bytes = _unit_bytes(weights)
    return LatencyModel(
        fixed_ms=found[0],
        layer_ms=found[1],
        attention_ms=found[2],
        head_ms=found[3],
        mlp_ms=found[4],
        neuron_ms=found[5],
        knots_ms=tuple(found[6:]),
        knots_bytes=tuple(knots),
        head_bytes=head_bytes,
        neuron_bytes=neuron_bytes,
        tokens=tokens,
        threads=threads,
        fit_error=float(error),
    )
