"""The training loop: throughput against transformers' Trainer, whole steps, loading of data.

    python benchmarks/training.py [--seconds 120] [--lengths 512 2048 8192]

- Dense training of one small Llama on one corpus, in turn with `transformers.Trainer`.
- Forward, backward and optimizer with subsampled attention, beside what its share of the
  arithmetic allows: with a share f = L / (L + 12 d) at keep 1/s, 1 / (1 - f + f / s) times faster.
- The same step with hidden states that keep an eighth of their entries after each block.
- The time that reading rows takes, and a corpus of 50 GB (a sparse file) that is opened.
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.provenance import machine, now_utc, package_versions
from sparsepath.artifacts.training_record import read_record
from sparsepath.data.shards import INDEX_FILE, TOKENS_FILE, ShardIndex, TokenShard
from sparsepath.evaluate.cost import Latency, speedup
from sparsepath.models.language import fresh_llama, fresh_topk
from sparsepath.nn.subsampling import subsample
from sparsepath.runtime.timing import time_interleaved
from sparsepath.train.recipe import Recipe
from sparsepath.train.recipe_file import check_recipe
from sparsepath.train.trainer import DATA_FOLDER, make_task, train

MINUTES = 12
D_MODEL, N_LAYERS, N_HEADS, D_MLP = 256, 4, 4, 704
ROUNDS, STEPS, WARM_UP = 5, 14, 4
"""Trainings in turn, their steps, and how many of these are not counted."""

CORPUS_BYTES = 50 * 10**9
ALLOWED = 0.85
"""Share of what the arithmetic allows that a whole step must reach."""


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 2048, 8192])
    given, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [*throughput(Path(folder)), *loading(Path(folder))]
    for length in given.lengths:
        rows += whole_steps(length, given.seconds / len(given.lengths))
    rows.append(topk_overhead(given.seconds / 2))
    write_rows(Path(__file__).parent / "results" / "training.json", rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def recipe() -> Recipe:
    """Describe the training that is compared."""
    return check_recipe(
        {
            "task": "language-model",
            "data": {"source": "stdlib", "length": 256},
            "model": {"d_model": D_MODEL, "n_layers": N_LAYERS, "n_heads": N_HEADS,
                      "n_kv_heads": N_HEADS, "d_mlp": D_MLP},
            "train": {"steps": STEPS, "batch_size": 8, "evaluate_every": STEPS,
                      "checkpoint_every": STEPS, "evaluate_rows": 1},
        },
        "benchmark",
    )  # fmt: skip


def throughput(folder: Path) -> list[BenchmarkRow]:
    """Train in turn by our loop and by Trainer, with the same model, rows and optimizer."""
    ours, theirs = [], []
    data = folder / "first"
    train(recipe(), data)  # tokens are made once
    for number in range(ROUNDS):
        out = folder / f"ours-{number}"
        out.mkdir()
        (out / DATA_FOLDER).symlink_to(data / DATA_FOLDER)
        (out / "recipe.json").write_text((data / "recipe.json").read_text())
        train(recipe(), out)
        times = [line["wall_s"] for line in read_record(out) if line["kind"] == "step"]
        ours += np.diff(times)[WARM_UP:].tolist()
        theirs += by_trainer(folder / f"theirs-{number}", data / DATA_FOLDER)
        print(f"round {number}: {ours[-1]:.3f} s, {theirs[-1]:.3f} s a step", file=sys.stderr)
    ratios = [t / o for t, o in zip(theirs, ours, strict=False)]
    low, high = np.percentile(
        [np.median(np.random.default_rng(i).choice(ratios, len(ratios))) for i in range(500)],
        [2.5, 97.5],
    )
    return [
        row(
            "training throughput, dense, small Llama",
            statistics.median(theirs) / statistics.median(ours),
            "x",
            target=1.0,
            peer="transformers.Trainer",
            ci95=(float(low), float(high)),
            n=len(ratios),
            note=f"medians {statistics.median(ours):.4f} and {statistics.median(theirs):.4f} s",
        )
    ]


class Rows(Dataset[dict[str, Tensor]]):
    """The rows of our task, in its order."""

    def __init__(self, shard: TokenShard) -> None:
        self.shard = shard

    def __len__(self) -> int:
        """Rows of one pass."""
        return self.shard.n_stretches

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """One row."""
        ids = torch.from_numpy(self.shard.stretch(number))
        return {"input_ids": ids, "labels": ids}


class Clock(TrainerCallback):
    """Times of the ends of steps."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: object, **__: object) -> None:
        """Look at the clock."""
        self.ends.append(time.perf_counter())


def by_trainer(out: Path, data: Path) -> list[float]:
    """Train by transformers and return the seconds of each step."""
    task = make_task(recipe(), data)
    model = task.model()
    clock = Clock()
    settings = TrainingArguments(
        output_dir=str(out), max_steps=STEPS, per_device_train_batch_size=8, use_cpu=True,
        report_to=[], save_strategy="no", logging_strategy="steps", logging_steps=1,
        learning_rate=1e-3, weight_decay=0.1, adam_beta2=0.95, disable_tqdm=True,
    )  # fmt: skip
    rows = Rows(TokenShard(data / "train", length=256))
    trainer = Trainer(model=model, args=settings, train_dataset=rows, callbacks=[clock])
    with contextlib.redirect_stdout(sys.stderr):  # where Trainer prints its losses
        trainer.train()
    seconds: list[float] = np.diff(clock.ends)[WARM_UP:].tolist()
    return seconds


def whole_steps(length: int, seconds: float) -> list[BenchmarkRow]:
    """Time whole steps at one length, dense and at two shares of the sources."""
    model = fresh_llama(
        vocabulary=256, length=length, d_model=D_MODEL, n_layers=N_LAYERS, n_heads=N_HEADS,
        n_kv_heads=N_HEADS, d_mlp=4 * D_MODEL * 2 // 3, seed=0,
    )  # fmt: skip
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, foreach=False)
    ids = torch.randint(256, (1, length), generator=torch.Generator().manual_seed(0))
    calls: dict[str, Callable[[int], object]] = {"dense": lambda _row: step(model, optimizer, ids)}
    for divisor in (4, 8):
        calls[f"1/{divisor}"] = sparse_step(model, optimizer, ids, divisor)
    rng = np.random.default_rng(0)
    times = time_interleaved(calls, np.zeros((200, 1), np.int64), rng=rng, max_s=seconds)
    found = {
        name: Latency(float(np.median(ms)), float(np.percentile(ms, 95)), float(ms.mean()), 0.0, ms)
        for name, ms in times.items()
    }
    rows = []
    share = length / (length + 12 * D_MODEL)
    for divisor in (4, 8):
        ratio = speedup(found["dense"], found[f"1/{divisor}"])
        ceiling = 1 / (1 - share + share / divisor)
        rows.append(
            row(
                f"whole training step, {length} positions, keep 1/{divisor}, of what is allowed",
                ratio.ratio / ceiling,
                "",
                target=ALLOWED,
                peer="dense fused attention",
                ci95=(ratio.ci95[0] / ceiling, ratio.ci95[1] / ceiling),
                n=ratio.n,
                note=f"{ratio.ratio:.2f}x faster, {ceiling:.2f}x allowed at width {D_MODEL}",
            )
        )
    return rows


def topk_overhead(seconds: float) -> BenchmarkRow:
    """Time whole steps with hidden states that keep an eighth after each block, and without."""
    dense = fresh_llama(
        vocabulary=256, length=512, d_model=D_MODEL, n_layers=N_LAYERS, n_heads=N_HEADS,
        n_kv_heads=N_HEADS, d_mlp=D_MLP, seed=0,
    )  # fmt: skip
    sparse = fresh_topk(
        dense, topk={"block_out": D_MODEL // 8}, topk_by="value", topk_positive=False,
        n_always_on=0, n_dense_layers=1, straight_through=False,
    )  # fmt: skip
    ids = torch.randint(256, (4, 512), generator=torch.Generator().manual_seed(0))
    calls: dict[str, Callable[[int], object]] = {}
    for name, model in (("dense", dense.train()), ("sparse", sparse.train())):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, foreach=False)
        calls[name] = partial(_stepped, model, optimizer, ids)
    rng = np.random.default_rng(0)
    times = time_interleaved(calls, np.zeros((200, 1), np.int64), rng=rng, max_s=seconds)
    found = {
        name: Latency(float(np.median(ms)), float(np.percentile(ms, 95)), float(ms.mean()), 0.0, ms)
        for name, ms in times.items()
    }
    slower = speedup(found["sparse"], found["dense"])
    return row(
        "whole training step, largest entries kept after each block, above the dense one",
        100 * (slower.ratio - 1),
        "%",
        better="lower",
        target=3.0,
        ci95=tuple(100 * (end - 1) for end in slower.ci95),
        n=slower.n,
        note=f"{found['dense'].p50_ms:.0f} ms dense, 4 rows of 512 tokens, width {D_MODEL}",
    )


def step(model: LlamaForCausalLM, optimizer: torch.optim.Optimizer, ids: Tensor) -> None:
    """Take one step."""
    model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def _stepped(
    model: LlamaForCausalLM, optimizer: torch.optim.Optimizer, ids: Tensor, _row: int
) -> None:
    """Take one step, whatever row is asked for."""
    step(model, optimizer, ids)


def sparse_step(
    model: LlamaForCausalLM, optimizer: torch.optim.Optimizer, ids: Tensor, divisor: int
) -> Callable[[int], object]:
    """Make a step with subsampled attention."""

    def call(_row: int) -> None:
        with subsample(model, keep=1 / divisor):
            step(model, optimizer, ids)

    return call


def loading(folder: Path) -> list[BenchmarkRow]:
    """Measure how long rows take to read, and what a huge corpus costs to open."""
    task = make_task(recipe(), folder / "first" / DATA_FOLDER)
    start = time.perf_counter()
    for number in range(200):
        task.batch(number)
    read_s = (time.perf_counter() - start) / 200
    lines = [line["wall_s"] for line in read_record(folder / "first") if line["kind"] == "step"]
    step_s = statistics.median(np.diff(lines)[WARM_UP:].tolist())
    huge = folder / "huge"
    huge.mkdir()
    with (huge / TOKENS_FILE).open("wb") as file:
        file.truncate(CORPUS_BYTES)
    index = ShardIndex(
        n_tokens=CORPUS_BYTES // 2, itemsize=2, vocabulary=4096, tokenizer_sha256="", text_bytes=1
    )
    (huge / INDEX_FILE).write_text(index.model_dump_json())
    start = time.perf_counter()
    shard = TokenShard(huge, length=513)
    shard.batch(0, 123_456, 16)
    open_s = time.perf_counter() - start
    before = psutil.Process().memory_info().rss
    for number in range(500):
        shard.batch(0, number, 16)
    grown = (psutil.Process().memory_info().rss - before) / 1e6
    return [
        row("reading rows, share of a training step", read_s / step_s, "", better="lower",
            target=0.01, note=f"{1e3 * read_s:.2f} ms of {1e3 * step_s:.0f} ms"),
        row("opening a corpus of 50 GB and reading a batch", open_s, "s", better="lower",
            target=1.0),
        row("memory grown by 500 batches of that corpus", grown, "MB", better="lower", target=100.0,
            note="pages of the file that the system may drop count"),
    ]  # fmt: skip


def row(figure: str, value: float, unit: str, **facts: object) -> BenchmarkRow:
    """Make a row with what all of them share."""
    return BenchmarkRow.model_validate(
        {
            "figure": figure,
            "value": value,
            "unit": unit,
            "better": "higher",
            "threads": torch.get_num_threads(),
            "machine": str(machine()["cpu"]),
            "versions": package_versions(),
            "command": "sparsepath bench training",
            "date": now_utc()[:10],
        }
        | facts
    )


if __name__ == "__main__":
    main()
