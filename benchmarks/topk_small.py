"""What sparse hidden states cost small models of images and molecules.

    python benchmarks/topk_small.py --data DATA [--tasks digits esol] [--arms ...] [--seeds 0 1 2]

The dense models are those of `benchmarks/ssa.py` (the same folders, so that what is there is not
trained again); every arm has their rows, rates and seeds. Each way is trained for several numbers
of steps, the best on held-out rows is taken, and losses on test rows are compared. An eighth of
the entries stays after each block but the last.
"""

import argparse
import json
import statistics
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from _trainings import Done, gain_row, rows_of_others
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from ssa import TRIALS, learnt

MINUTES = 30
COMMAND = "sparsepath bench topk_small --data DATA"
RESULTS = Path("benchmarks/results/topk_small.json")
STEPS = {"digits": (375, 1500), "esol": (1200,)}
WIDTHS = {"digits": (64, 128), "esol": (48, 96)}
"""Of the stream and of the MLP, by task."""
ARMS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "block_out": ("block_out", "dense", ()),
    "block_out, by magnitude": ("block_out", "dense", ("topk.by=magnitude",)),
    "mlp_hidden": ("mlp_hidden", "dense", ()),
    "block_out, subsampled attention": ("block_out", "ssa", ()),
    "block_out, by magnitude, subsampled attention": ("block_out", "ssa", ("topk.by=magnitude",)),
}
"""By name: the sparse site, the recipe, other changes."""


def main() -> None:
    """Train what is not there yet, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks/ssa"))
    given = parser.parse_args()
    rows = rows_of_others(RESULTS, given.tasks)
    for task in given.tasks:
        dense = {n: _trained(task, "", "dense", (), n, given) for n in STEPS[task]}
        subsampled = {n: _trained(task, "", "ssa", (), n, given) for n in STEPS[task]}
        rows.append(_compared(task, "dense model, subsampled attention", dense, subsampled))
        for arm in given.arms:
            site, recipe, changes = ARMS[arm]
            stream, hidden = WIDTHS[task]
            k = (stream if site == "block_out" else hidden) // 8
            changes = (f"topk.sites={{{site}={k}}}", *changes)
            ours = {n: _trained(task, arm, recipe, changes, n, given) for n in STEPS[task]}
            rows.append(_compared(task, arm, dense, ours))
    write_rows(RESULTS, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def _trained(
    task: str,
    arm: str,
    recipe: str,
    changes: tuple[str, ...],
    steps: int,
    given: argparse.Namespace,
) -> list[Done]:
    """Train one arm for a number of steps with every seed."""
    trial = replace(TRIALS[task], changes=(*TRIALS[task].changes, *changes))
    name = "-".join([task, *arm.replace(",", "").split()])
    return [learnt(name, trial, recipe, steps, seed, given) for seed in given.seeds]


def _compared(
    task: str, arm: str, dense: dict[int, list[Done]], ours: dict[int, list[Done]]
) -> BenchmarkRow:
    """Say by how much an arm's loss is above the dense model's, each at its own best steps."""
    before, after = (
        min(arms.items(), key=lambda item: statistics.fmean(done.held_out for done in item[1]))
        for arms in (dense, ours)
    )
    pairs = [(d.test, s.test) for d, s in zip(before[1], after[1], strict=True)]
    return gain_row(
        f"{task}: {arm}: test loss above the dense model",
        [theirs - mine for mine, theirs in pairs],
        TRIALS[task].unit,
        better="lower",
        target=None,
        command=COMMAND,
        note=f"{before[0]} and {after[0]} steps; dense to this, per seed: "
        + "; ".join(f"{mine:.4f} to {theirs:.4f}" for mine, theirs in pairs),
    )


if __name__ == "__main__":
    main()
