"""Reading a prompt on one thread, against transformers and, where it is installed, llama.cpp.

    python benchmarks/prompt.py [--seconds 60] [--processor-time]

A prompt of 256 tokens up to the first new one, models of 110 million random weights, in turn.
Sparse models keep an eighth of the entries in front of every product. `--processor-time` counts the
thread's own time, for machines where other work runs beside, and keeps the rows under another name.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaForCausalLM

import _llama_cpp
from decode import LLAMA_CPP, TRANSFORMERS, fresh, row, saved, sparse
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.config import GenerateOptions
from sparsepath.evaluate.cost import Latency, speedup
from sparsepath.kernels.native import best_level
from sparsepath.runtime.language.engine import Engine
from sparsepath.runtime.timing import time_interleaved

MINUTES = 2
SHAPE, LENGTH = "110M", 256
SITES = ("attn_in", "attn_out", "mlp_in", "mlp_hidden")


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--processor-time", action="store_true")
    given, _ = parser.parse_known_args()
    clock, file = time.perf_counter_ns, "prompt.json"
    if given.processor_time:
        clock, file = time.thread_time_ns, "prompt.processor-time.json"
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = compare(Path(folder), given.seconds, clock)
    write_rows(Path(__file__).parent / "results" / file, rows)
    print(json.dumps([one.model_dump(mode="json") for one in rows], indent=2))


def compare(place: Path, seconds: float, clock: Callable[[], int]) -> list[BenchmarkRow]:
    """Time all ways to read a prompt."""
    dense = fresh(SHAPE)
    folder = saved(dense, place / "dense")
    engines = {
        "all sites, int8": Engine(saved(sparse(SHAPE, SITES), place / "sites"), form="int8"),
        "dense, int8": Engine(folder, form="int8"),
        "dense, int4": Engine(folder, form="int4"),
    }
    halved = LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    peers = dict(zip(TRANSFORMERS, (dense.eval(), halved.eval()), strict=True))
    calls = {told: by_transformers(model) for told, model in peers.items()}
    calls |= {told: by_engine(engine) for told, engine in engines.items()}
    keys = [*peers]
    if _llama_cpp.is_there():
        path = _llama_cpp.quantised(_llama_cpp.write_gguf(dense, place / "fp32.gguf"))
        write = _llama_cpp.writer_of(path, 1)
        calls[LLAMA_CPP] = lambda number: write(prompt(number))
        keys.append(LLAMA_CPP)
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 1000, size=(60, 1))
    times = time_interleaved(calls, numbers, rng=rng, max_s=seconds, clock=clock)
    found = {
        told: Latency(float(np.median(ms)), float(np.percentile(ms, 95)), float(ms.mean()), 0.0, ms)
        for told, ms in times.items()
    }
    speed = ", ".join(f"{told} {1e3 * LENGTH / one.p50_ms:.0f}" for told, one in found.items())
    print(f"tokens/s: {speed}", file=sys.stderr)
    return [
        row(
            f"prompt of {LENGTH}, {SHAPE}, {told}",
            speedup(found[key], found[told]),
            peer=key,
            target=None,
            note=f"tokens/s: {speed}; {best_level()!r}",
        ).model_copy(update={"command": "sparsepath bench prompt"})
        for key in keys
        for told in engines
    ]


def prompt(number: int) -> list[int]:
    """Draw a prompt."""
    ids: list[int] = np.random.default_rng(number).integers(0, 300, LENGTH).tolist()
    return ids


def by_transformers(model: LlamaForCausalLM) -> Callable[[int], object]:
    """Read, and choose one token."""

    def call(number: int) -> object:
        with torch.inference_mode():
            told = model(torch.tensor([prompt(number)]), use_cache=True, logits_to_keep=1)
        return int(told.logits[0, -1].argmax())

    return call


def by_engine(engine: Engine) -> Callable[[int], object]:
    """The same by our engine."""
    return lambda number: list(engine.tokens(prompt(number), GenerateOptions(tokens=1)))


if __name__ == "__main__":
    main()
