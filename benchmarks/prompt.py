"""Reading a prompt on one thread, against transformers and, where it is installed, llama.cpp.

    python benchmarks/prompt.py [--seconds 60] [--processor-time]

Prompts of 256 and of 2,000 tokens up to the first new one, models of 110 million random weights, in
turn. Sparse models keep an eighth of the entries in front of every product. `--processor-time`
counts the thread's own time, for machines where other work runs beside, and keeps the rows under
another name.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

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
SHAPE, LENGTHS, CONTEXT = "110M", (256, 2000), 2048
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
        contenders = made(Path(folder))
        rows = [
            row
            for length in LENGTHS
            for row in compare(contenders, length, given.seconds / len(LENGTHS), clock)
        ]
    write_rows(Path(__file__).parent / "results" / file, rows)
    print(json.dumps([one.model_dump(mode="json") for one in rows], indent=2))


class Contenders(NamedTuple):
    """Ways to read a prompt."""

    calls: dict[str, Callable[[list[int]], object]]
    """All of them."""
    peers: list[str]
    """Which are not ours."""


def made(place: Path) -> Contenders:
    """Make the models."""
    dense = fresh(SHAPE, CONTEXT)
    folder = saved(dense, place / "dense")
    engines = {
        "all sites, int8": Engine(
            saved(sparse(SHAPE, SITES, CONTEXT), place / "sites"), form="int8"
        ),
        "dense, int8": Engine(folder, form="int8"),
        "dense, int4": Engine(folder, form="int4"),
    }
    halved = LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    peers = dict(zip(TRANSFORMERS, (dense.eval(), halved.eval()), strict=True))
    calls = {told: by_transformers(model) for told, model in peers.items()}
    keys = [*peers]
    if _llama_cpp.is_there():
        path = _llama_cpp.quantised(_llama_cpp.write_gguf(dense, place / "fp32.gguf"))
        calls[LLAMA_CPP] = _llama_cpp.writer_of(path, 1)
        keys.append(LLAMA_CPP)
    calls |= {told: by_engine(engine) for told, engine in engines.items()}
    return Contenders(calls, keys)


def compare(
    contenders: Contenders, length: int, seconds: float, clock: Callable[[], int]
) -> list[BenchmarkRow]:
    """Time all ways to read prompts of one length."""
    prompts = [prompt(number, length) for number in range(60)]
    calls = {
        told: lambda number, call=call: call(prompts[number])
        for told, call in contenders.calls.items()
    }
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 60, size=(60, 1))
    times = time_interleaved(calls, numbers, rng=rng, max_s=seconds, clock=clock)
    found = {
        told: Latency(float(np.median(ms)), float(np.percentile(ms, 95)), float(ms.mean()), 0.0, ms)
        for told, ms in times.items()
    }
    speed = ", ".join(f"{told} {1e3 * length / one.p50_ms:.0f}" for told, one in found.items())
    print(f"tokens/s: {speed}", file=sys.stderr)
    return [
        row(
            f"prompt of {length}, {SHAPE}, {told}",
            speedup(found[key], found[told]),
            peer=key,
            target=None,
            note=f"tokens/s: {speed}; {best_level()!r}",
        ).model_copy(update={"command": "sparsepath bench prompt"})
        for key in contenders.peers
        for told in calls
        if told not in contenders.peers
    ]


def prompt(number: int, length: int) -> list[int]:
    """Draw a prompt."""
    ids: list[int] = np.random.default_rng(number).integers(0, 300, length).tolist()
    return ids


def by_transformers(model: LlamaForCausalLM) -> Callable[[list[int]], object]:
    """Read, and choose one token."""

    def call(ids: list[int]) -> object:
        with torch.inference_mode():
            told = model(torch.tensor([ids]), use_cache=True, logits_to_keep=1)
        return int(told.logits[0, -1].argmax())

    return call


def by_engine(engine: Engine) -> Callable[[list[int]], object]:
    """The same by our engine."""
    return lambda ids: list(engine.tokens(ids, GenerateOptions(tokens=1)))


if __name__ == "__main__":
    main()
