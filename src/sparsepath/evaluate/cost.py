"""What a model costs: latency against the others, throughput, memory, size, arithmetic.

Latency is batch 1, from text to probabilities, all candidates in one process in turn
(`runtime.timing`), so that ratios hold on a noisy machine. Memory is what the operating system saw
in a fresh process that imports the base package only.

Read with it: `rss.py` (what that process runs).
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.errors import ConfigError, ModelError
from sparsepath.runtime.base import Engine
from sparsepath.runtime.manifest import MANIFEST, Precision, member, read_manifest
from sparsepath.runtime.timing import time_interleaved

BLOCK: Final = 8
"""Rows of one turn of a candidate."""

N_BOOTSTRAP: Final = 2000
"""Draws behind an interval."""


class Latency(NamedTuple):
    """Time of one text from text to probabilities, in milliseconds."""

    p50_ms: float
    """Median."""
    p95_ms: float
    """95th percentile."""
    mean_ms: float
    """Mean."""
    tokenize_p50_ms: float
    """Median of tokenization alone, which is part of the above."""
    samples_ms: NDArray[np.float64]
    """[blocks, rows]; entries at one place are of one text for all candidates measured together."""


class Speedup(NamedTuple):
    """How many times faster one candidate is than another."""

    ratio: float
    """Median (or mean) of the baseline over that of the candidate."""
    ci95: tuple[float, float]
    """Bootstrap interval over blocks of time."""
    n: int
    """Texts timed for each."""


def measure_latency(
    engines: Mapping[str, Engine],
    texts: Sequence[str],
    *,
    rounds: int = 1,
    seed: int = 0,
    max_s: float | None = None,
) -> dict[str, Latency]:
    """Time candidates on texts, block by block in turn.

    Args:
        engines: candidates by name, all open at once.
        texts: rows of the test set, at least one.
        rounds: how often each text is timed with each candidate.
        seed: draws the order of texts and candidates.
        max_s: stop after this many seconds, with what there is; at least one block is measured.

    Returns:
        For each candidate its latency.

    Raises:
        ConfigError: if there is no text or no round.
    """
    if not texts or rounds < 1:
        raise ConfigError(
            f"{len(texts)} texts and {rounds} rounds to measure",
            hint="give at least one text and one round",
        )
    rng = np.random.default_rng(seed)
    calls: dict[str, Callable[[int], object]] = {
        name: _predicting(engine, texts) for name, engine in engines.items()
    }
    samples = time_interleaved(calls, _rows(len(texts), rounds, rng), rng=rng, max_s=max_s)
    return {
        name: _summary(samples[name], _tokenize_ms(engine, texts, rng))
        for name, engine in engines.items()
    }


def speedup(
    baseline: Latency,
    candidate: Latency,
    *,
    of: Literal["median", "mean"] = "median",
    seed: int = 0,
) -> Speedup:
    """Compare two candidates that were measured together.

    The interval resamples blocks, for both at once: within a block times resemble each other.

    Args:
        baseline: what the candidate is compared with.
        candidate: measured in the same call.
        of: what is divided. A candidate that chooses its depth per text must be judged by its mean:
            its median is only the time of its light path.
        seed: draws the blocks.
    """
    slow_BR, fast_BR = baseline.samples_ms, candidate.samples_ms
    assert slow_BR.shape == fast_BR.shape
    centre: Callable[[NDArray[np.float64]], np.floating] = np.median if of == "median" else np.mean
    rng = np.random.default_rng(seed)
    ratios = []
    for _ in range(N_BOOTSTRAP):
        drawn = rng.integers(0, len(slow_BR), size=len(slow_BR))
        ratios.append(float(centre(slow_BR[drawn]) / centre(fast_BR[drawn])))
    low, high = np.percentile(ratios, [2.5, 97.5])
    ratio = float(centre(slow_BR) / centre(fast_BR))
    return Speedup(ratio, (float(low), float(high)), int(slow_BR.size))


def throughput(
    engine: Engine, texts: Sequence[str], *, batch_size: int = 32, min_s: float = 0.5
) -> float:
    """Return examples per second when texts are predicted in batches.

    Args:
        engine: the candidate.
        texts: repeated until `min_s` seconds are over.
        batch_size: texts that go through the graph together.
        min_s: least seconds measured, after one pass over a batch that is not counted.
    """
    engine.predict(texts[:batch_size], batch_size)
    start, done = time.perf_counter(), 0
    while True:
        engine.predict(texts, batch_size)
        done += len(texts)
        taken = time.perf_counter() - start
        if taken >= min_s:
            return done / taken


def peak_rss_bytes(
    folder: Path, texts: Sequence[str], *, precision: Precision = "fp32", threads: int = 1
) -> int:
    """Return the most memory that a fresh process held while it predicted texts one by one.

    Python, numpy, tokenizers and ONNX Runtime are part of it, about 48 MB.

    Raises:
        ModelError: if the process fails.
    """
    request = {
        "folder": str(folder),
        "texts": list(texts),
        "precision": precision,
        "threads": threads,
    }
    done = subprocess.run(
        [sys.executable, "-m", "sparsepath.evaluate.rss"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-3:]
        raise ModelError(
            f"{folder} could not be run in a process of its own: {' '.join(last)}",
            hint="run `sparsepath predict` with it to see whether the folder is whole",
        )
    return int(json.loads(done.stdout)["peak_rss_bytes"])


def size_bytes(folder: Path, precision: Precision = "fp32") -> int:
    """Return the bytes of everything that running a model folder reads; stages included.

    Raises:
        ModelError: if the folder is not a model, or has no graph in that precision.
    """
    manifest = read_manifest(folder)
    if manifest.kind == "cascade":
        stages = {member(folder, name, is_folder=True) for name in manifest.stages}
        return sum(size_bytes(stage, precision) for stage in stages)
    graphs = manifest.stages or [manifest.onnx.get(precision, "")]
    if not graphs[0]:
        raise ModelError(f"{folder} has no {precision} graph", hint="use another precision")
    files = [name for graph in graphs for name in (graph, f"{graph}.data")]
    files += [MANIFEST, "tokenizer.json"]
    paths = [folder / name for name in files]
    return sum(path.stat().st_size for path in paths if path.is_file())


def flops_per_example(
    shape: Sequence[tuple[int, int]],
    *,
    width: int,
    head_dim: int,
    n_labels: int,
    n_tokens: int,
    is_glu: bool = False,
) -> int:
    """Count multiplications and additions of matrix products for one text.

    With T tokens, width D, heads of width d and C labels, a layer of H heads and M neurons takes
    `2 T (4 H D d)` for its projections, `4 T^2 H d` for scores and their weighted sum, and
    `4 T D M` for its MLP (`6 T D M` with a gate); pooling takes `2 T D` and the classifier `2 D C`.
    Norms, softmax, activations and the embedding look-up are left out, as is usual.

    Args:
        shape: heads and neurons of every layer that is present.
        width: features of the residual stream.
        head_dim: width of a head.
        n_labels: labels.
        n_tokens: tokens of the text, special ones included.
        is_glu: whether the MLPs have a gate.
    """
    total = 2 * n_tokens * width + 2 * width * n_labels
    for heads, neurons in shape:
        total += 8 * n_tokens * heads * width * head_dim + 4 * n_tokens**2 * heads * head_dim
        total += (6 if is_glu else 4) * n_tokens * width * neurons
    return total


def tokenize_ms(engine: Engine, texts: Sequence[str], *, seed: int = 0) -> float:
    """Return the median milliseconds of tokenizing one text."""
    return _tokenize_ms(engine, texts, np.random.default_rng(seed))


def _predicting(engine: Engine, texts: Sequence[str]) -> Callable[[int], object]:
    predict = engine.predict_one
    return lambda row: predict(texts[row])


def _rows(n_texts: int, rounds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw every text `rounds` times, in blocks; the last block is filled up from the first."""
    rows = np.concatenate([rng.permutation(n_texts) for _ in range(rounds)])
    size = -(-len(rows) // BLOCK) * BLOCK
    return np.resize(rows, size).reshape(-1, BLOCK).astype(np.int64)


def _tokenize_ms(engine: Engine, texts: Sequence[str], rng: np.random.Generator) -> float:
    encode = engine.encoder.encode
    rows = _rows(len(texts), 1, rng)[:64]
    times = time_interleaved({"encode": lambda row: encode(texts[row])}, rows, rng=rng)
    return float(np.median(times["encode"]))


def _summary(samples_ms: NDArray[np.float64], tokenize_p50_ms: float) -> Latency:
    return Latency(
        p50_ms=float(np.median(samples_ms)),
        p95_ms=float(np.percentile(samples_ms, 95)),
        mean_ms=float(samples_ms.mean()),
        tokenize_p50_ms=tokenize_p50_ms,
        samples_ms=samples_ms,
    )
