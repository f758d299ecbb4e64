"""Writing on after a long prompt, on one thread, against transformers.

    python benchmarks/long_text.py [--seconds 60]

Models of 110 million random weights that have read 2,000 tokens write one at a time, in turn.
Sparse models keep an eighth of the entries in front of every product; keys and values of 8 bits are
what the engine takes beside weights of 8 bits.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import DynamicCache, LlamaForCausalLM

from decode import TRANSFORMERS, fresh, row, saved, sparse
from prompt import CONTEXT, SHAPE, SITES, prompt
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.evaluate.cost import Latency, speedup
from sparsepath.kernels.native import best_level
from sparsepath.runtime.language.cache import Cache, Kept
from sparsepath.runtime.language.engine import Engine
from sparsepath.runtime.timing import time_interleaved

MINUTES = 2
LENGTH = 2000
STEPS = (CONTEXT - LENGTH) // 2 - 1
"""Tokens that are written at most; each is written once more before the clock starts."""

Step = Callable[[int], object]


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    given, _ = parser.parse_known_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = compare(Path(folder), given.seconds)
    write_rows(Path(__file__).parent / "results" / "long_text.json", rows)
    print(json.dumps([one.model_dump(mode="json") for one in rows], indent=2))


def compare(place: Path, seconds: float) -> list[BenchmarkRow]:
    """Time all ways to write a token."""
    dense = fresh(SHAPE, CONTEXT)
    folder = saved(dense, place / "dense")
    sites = saved(sparse(SHAPE, SITES, CONTEXT), place / "sites")
    halved = LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    peers = dict(zip(TRANSFORMERS, (dense.eval(), halved.eval()), strict=True))
    calls: dict[str, Step] = {told: by_transformers(model) for told, model in peers.items()}
    ours: dict[str, Step] = {
        "all sites, int8": by_engine(Engine(sites, form="int8"), "int8"),
        "all sites, int8, keys and values in fp32": by_engine(Engine(sites, form="int8"), "fp32"),
        "dense, int8": by_engine(Engine(folder, form="int8"), "int8"),
    }
    calls |= ours
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 300, size=(STEPS, 1))
    times = time_interleaved(calls, numbers, rng=rng, max_s=seconds)
    found = {
        told: Latency(float(np.median(ms)), float(np.percentile(ms, 95)), float(ms.mean()), 0.0, ms)
        for told, ms in times.items()
    }
    speed = ", ".join(f"{told} {1e3 / one.p50_ms:.0f}" for told, one in found.items())
    print(f"tokens/s: {speed}", file=sys.stderr)
    best = min(peers, key=lambda peer: found[peer].p50_ms)
    return [
        row(
            f"writing after {LENGTH} tokens, {SHAPE}, {told}",
            speedup(found[best], found[told]),
            peer=best,
            target=None,
            note=f"tokens/s: {speed}; {best_level()!r}",
        ).model_copy(update={"command": "sparsepath bench long_text"})
        for told in ours
    ]


def by_transformers(model: LlamaForCausalLM) -> Step:
    """Read a prompt, and give what writes a token after it."""
    past = DynamicCache(config=model.config)

    def step(ids: list[int]) -> int:
        with torch.inference_mode():
            told = model(torch.tensor([ids]), past_key_values=past, logits_to_keep=1)
        return int(told.logits[0, -1].argmax())

    step(prompt(0, LENGTH))
    return lambda token: step([token])


def by_engine(engine: Engine, kept: Kept) -> Step:
    """Read a prompt, and give what writes a token after it."""
    cache = Cache(engine.shape, CONTEXT, kept=kept)

    def step(ids: list[int]) -> int:
        return int(engine.read(ids, cache, 1)[0].argmax())

    step(prompt(0, LENGTH))
    return lambda token: step([token])


if __name__ == "__main__":
    main()
