"""Writing token by token on one thread, against transformers and llama.cpp, at two sizes.

    python benchmarks/decode.py [--seconds 120] [--processor-time]

The weights are random: speed does not depend on them. Sparse models keep an eighth of the entries
in front of every product; `all sites` leaves the last hidden state dense, `and the head` does not.
Every round writes 32 tokens after a prompt of 16, greedily, in turn. llama.cpp takes part where it
is installed (`_llama_cpp.py`), with the dense model in Q4_0. `--processor-time` counts the thread's
own time, for machines where other work runs beside, and keeps the rows under another name.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlamaForCausalLM

import _llama_cpp
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.provenance import machine, now_utc, package_versions
from sparsepath.config import GenerateOptions
from sparsepath.evaluate.cost import Latency, Speedup, speedup
from sparsepath.kernels.native import best_level
from sparsepath.models.language import fresh_llama, fresh_topk, train_byte_tokenizer
from sparsepath.runtime.language.engine import Engine, Written
from sparsepath.runtime.timing import time_interleaved

MINUTES = 4
PROMPT, TOKENS = 16, 32
SHAPES: dict[str, dict[str, int]] = {
    "110M": {"vocabulary": 32_000, "d_model": 768, "n_layers": 12, "n_heads": 12, "d_mlp": 2048},
    "6M": {"vocabulary": 4_096, "d_model": 256, "n_layers": 6, "n_heads": 8, "d_mlp": 704},
}
"""By name; the first has 110 million weights, 25 of them in the embedding and as many in the head
(which is tied to it), the second 6 million."""

TARGETS = {"110M": 12.0, "6M": 10.0}
"""Times faster than transformers, for the model whose sites are all sparse."""

TRANSFORMERS = ("transformers fp32", "transformers bf16")
LLAMA_CPP, LLAMA_CPP_TARGETS = "llama.cpp Q4_0", {"110M": 1.5}
"""The same against llama.cpp."""

DIVISOR = 8


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--processor-time", action="store_true")
    given, _ = parser.parse_known_args()
    clock, file = time.perf_counter_ns, "decode.json"
    if given.processor_time:
        clock, file = time.thread_time_ns, "decode.processor-time.json"
    torch.set_num_threads(1)
    rows = []
    for name in SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            rows += compare(name, Path(folder), given.seconds / len(SHAPES), clock)
    write_rows(Path(__file__).parent / "results" / file, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def compare(name: str, place: Path, seconds: float, clock: Callable[[], int]) -> list[BenchmarkRow]:
    """Time all ways to run models of one shape, in turn."""
    dense = fresh(name)
    inner = ("attn_in", "attn_out", "mlp_in", "mlp_hidden")
    engines = {
        "all sites, int8": Engine(saved(sparse(name, inner), place / "sites"), form="int8"),
        "all sites and the head, int8": Engine(
            saved(sparse(name, (*inner, "block_out")), place / "head"), form="int8"
        ),
        "block_out, int8": Engine(saved(sparse(name, ("block_out",)), place / "out"), form="int8"),
    }
    engines["all sites, int4"] = Engine(place / "sites", form="int4")
    folder = saved(dense, place / "dense")
    engines["dense, int8"] = Engine(folder, form="int8")
    engines["dense, int4"] = Engine(folder, form="int4")
    halved = LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    peers = dict(zip(TRANSFORMERS, (dense.eval(), halved.eval()), strict=True))
    calls: dict[str, Callable[[int], object]] = {
        peer: by_transformers(model) for peer, model in peers.items()
    }
    calls |= {told: by_engine(engine) for told, engine in engines.items()}
    if _llama_cpp.is_there():
        file = _llama_cpp.quantised(_llama_cpp.write_gguf(dense, place / "fp32.gguf"))
        write = _llama_cpp.writer_of(file, TOKENS)
        calls[LLAMA_CPP] = lambda number: write(prompt(number))
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 1000, size=(60, 1))
    times = time_interleaved(calls, numbers, rng=rng, max_s=seconds, clock=clock)
    found = {
        told: Latency(float(np.median(ms)), float(np.percentile(ms, 95)), float(ms.mean()), 0.0, ms)
        for told, ms in times.items()
    }
    speed = {told: TOKENS / latency.p50_ms * 1e3 for told, latency in found.items()}
    for told, tokens_s in speed.items():
        print(f"{name} {told}: {tokens_s:.0f} tokens/s", file=sys.stderr)
    best = min(peers, key=lambda peer: found[peer].p50_ms)
    against = {best: (f"{best}, dense, generate", TARGETS)}
    if LLAMA_CPP in found:
        against[LLAMA_CPP] = f"{LLAMA_CPP}, dense, {_llama_cpp.version()}", LLAMA_CPP_TARGETS
    return [
        row(
            f"decode, {name}, {told}",
            speedup(found[key], found[told]),
            peer=peer,
            target=targets.get(name) if told == "all sites, int8" else None,
            note=note(speed, told, engine),
        )
        for key, (peer, targets) in against.items()
        for told, engine in engines.items()
    ]


def note(speed: dict[str, float], told: str, engine: Engine) -> str:
    """Say how fast all were, and what one of ours reads."""
    facts = Written()
    list(engine.generate("a b", GenerateOptions(tokens=8), facts=facts))
    others = [
        f"{peer} {value:.0f}" for peer, value in speed.items() if peer in (*TRANSFORMERS, LLAMA_CPP)
    ]
    return (
        f"{speed[told]:.0f} tokens/s, {', '.join(others)}, prompt of {PROMPT} included; "
        f"{(facts.bytes_per_token or 0) / 1e6:.1f} MB of weights a token; {best_level()!r}"
    )


def row(
    figure: str, gained: Speedup, *, peer: str, target: float | None, note: str
) -> BenchmarkRow:
    """Make a row with what all of them share."""
    return BenchmarkRow(
        figure=figure,
        value=gained.ratio,
        ci95=gained.ci95,
        n=gained.n,
        unit="x",
        better="higher",
        target=target,
        peer=peer,
        threads=1,
        machine=str(machine()["cpu"]),
        versions=package_versions(),
        command="sparsepath bench decode",
        date=now_utc()[:10],
        note=note,
    )


def fresh(name: str, length: int = 512) -> LlamaForCausalLM:
    """Make a dense model that reads so many tokens."""
    shape = SHAPES[name]
    return fresh_llama(**shape, length=length, n_kv_heads=shape["n_heads"], seed=0)


def sparse(name: str, sites: tuple[str, ...], length: int = 512) -> Any:
    """Make a model that keeps an eighth at some sites of all layers."""
    shape = SHAPES[name]
    widths = dict.fromkeys(sites, shape["d_model"]) | (
        {"mlp_hidden": shape["d_mlp"]} if "mlp_hidden" in sites else {}
    )
    return fresh_topk(
        fresh(name, length),
        topk={site: width // DIVISOR for site, width in widths.items()},
        topk_by="value",
        topk_positive=False,
        n_always_on=0,
        n_dense_layers=0,
        straight_through=False,
    )


def saved(model: Any, folder: Path) -> Path:
    """Write a model that never ends a text, with some tokenizer."""
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    model.save_pretrained(folder)
    train_byte_tokenizer(iter(["a b c d e"]), size=300).save(str(folder / "tokenizer.json"))
    return folder


def prompt(number: int) -> list[int]:
    """Draw a prompt."""
    ids: list[int] = np.random.default_rng(number).integers(0, 300, PROMPT).tolist()
    return ids


def by_transformers(model: Any) -> Callable[[int], object]:
    """Write by `generate`."""

    def call(number: int) -> object:
        ids = torch.tensor([prompt(number)])
        return model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=TOKENS, do_sample=False,
            pad_token_id=0,
        )  # fmt: skip

    return call


def by_engine(engine: Engine) -> Callable[[int], object]:
    """Write by our engine."""
    return lambda number: list(engine.tokens(prompt(number), GenerateOptions(tokens=TOKENS)))


if __name__ == "__main__":
    main()
