"""What sparse hidden states cost a language model that was trained dense and then converted.

    python benchmarks/convert_lm.py MODEL --data DATA [--site SITE] [--k 144] [--steps 60]
        [--seeds 0]

The model is healed on Wikipedia's first articles, once while k falls and once densely: the same
tokens, rates and distillation. Both are told on held-out articles.
Run folders are kept under --runs, and a finished one is taken as it is.
"""

import argparse
import json
from pathlib import Path

from _trainings import Done, first_articles, gain_row, train_once
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.neuron import SITES
from sparsepath.train.convert import conversion
from sparsepath.train.recipe import Recipe

MINUTES = 60
RESULTS = Path("benchmarks/results/convert_lm.json")
LENGTH, BATCH = 256, 4
TARGET = 3.0


def main() -> None:
    """Measure, print and keep the row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--site", choices=SITES, default="block_out")
    parser.add_argument("--k", type=int, default=144)
    parser.add_argument("--by", choices=("value", "magnitude"), default="value")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks/convert_lm"))
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--set", nargs="*", default=[], help="keys of both recipes, KEY=VALUE")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    rows = [compared(given)]
    write_rows(given.out, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def healed(seed: int, given: argparse.Namespace, *, is_sparse: bool) -> Done:
    """Heal once, sparse or dense."""
    site = "" if given.site == "block_out" else f"{given.site}-"
    arm = f"{site}{given.by}-k{given.k}" if is_sparse else "dense"
    name = "-".join([Path(given.model).name, arm, str(given.steps), *given.set, f"seed{seed}"])
    return train_once(recipe(seed, given, is_sparse=is_sparse), given.runs / name)


def recipe(seed: int, given: argparse.Namespace, *, is_sparse: bool) -> Recipe:
    """Describe a healing; without sites it is a dense one."""
    changes = [
        f"seed={seed}",
        "data.held_out=0.05",
        f"data.length={LENGTH}",
        f"train.batch_size={BATCH}",
        f"train.steps={given.steps}",
        f"train.checkpoint_every={given.steps}",
        f"train.evaluate_every={given.steps}",
        "train.evaluate_rows=60",
        f"train.precision={given.precision}",
        *given.set,
    ]
    if is_sparse:
        changes.append(f"topk.by={given.by}")
    text = str(first_articles(given.data, given.runs))
    return conversion(
        given.model, text, {given.site: given.k} if is_sparse else {}, changes=changes
    )


def compared(given: argparse.Namespace) -> BenchmarkRow:
    """Say by how many per cent bits per byte are above those of the parent healed equally."""
    dense = [healed(seed, given, is_sparse=False) for seed in given.seeds]
    sparse = [healed(seed, given, is_sparse=True) for seed in given.seeds]
    bits = [
        (d.scores["bits_per_byte"], s.scores["bits_per_byte"])
        for d, s in zip(dense, sparse, strict=True)
    ]
    told = "; ".join(f"{before:.4f} to {after:.4f}" for before, after in bits)
    tokens = given.steps * LENGTH * BATCH
    return gain_row(
        f"{Path(given.model).name} converted, {given.site} {given.k} by {given.by}, "
        f"{tokens:,} tokens: bits per byte above the parent healed equally",
        [100 * (after / before - 1) for before, after in bits],
        "%",
        better="lower",
        target=TARGET,
        command="sparsepath bench convert_lm MODEL --data DATA",
        note=f"parent to converted, per seed: {told}",
    )


if __name__ == "__main__":
    main()
