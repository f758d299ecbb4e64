"""Training with subsampled attention against dense training, tuned alike, on several tasks.

    python benchmarks/ssa.py [--tasks digits esol ...] [--data DATA] [--seeds 0 1 2]

Every task is a recipe and a list of step counts. The dense model's best count is the one with the
lowest mean held-out loss over the seeds; losses on test rows are compared there, at twice the
count, and where both take equal time. Then each finished model is asked as a self-ensemble. Tasks
with files need --data, the folder with `cls/`, `mol/`, `lm/` and `vision/`; run folders are kept
under --runs, and a finished one is taken as it is.
"""

import argparse
import io
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parent))

from transformers import PreTrainedModel

from _trainings import (
    SMALL_LANGUAGE_MODEL,
    Done,
    first_articles,
    gain_row,
    rows_of_others,
    train_once,
)
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.evaluate.ensemble import figures
from sparsepath.nn.subsampling import subsample
from sparsepath.train.recipe import Recipe
from sparsepath.train.recipe_file import read_recipe
from sparsepath.train.task import Task
from sparsepath.train.trainer import DATA_FOLDER, MODEL_FOLDER, RECIPE_FILE, make_task

MINUTES = 20
COMMAND = "sparsepath bench ssa --data DATA"
RESULTS = Path("benchmarks/results/ssa.json")
RECIPES = Path("recipes")
MEMBERS = 16
KEEPS = (0.5, 0.75, 0.9)
"""Shares that members of an ensemble may keep."""
N_IMAGES, N_TEST_IMAGES = 10_000, 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One task: what is trained, and for how long."""

    recipe: str
    """Name under `recipes/`, without `-dense` or `-ssa`."""
    steps: tuple[int, ...]
    """Step counts that are tried, ascending."""
    changes: tuple[str, ...] = ()
    """Changes of the recipe, as for `--set`; `DATA` stands for the data folder."""
    prepare: Callable[[Path, Path], Path] | None = None
    """Makes the source from the data folder, in a folder."""
    unit: str = "nats"
    """Of the loss."""


def _images(data: Path, place: Path) -> Path:
    """Decode some of CIFAR-10's images."""
    from PIL import Image

    path = place / "cifar.npz"
    if not path.exists():
        pixels, labels = [], []
        for name, n in (("train", N_IMAGES), ("test", N_TEST_IMAGES)):
            with np.load(data / "vision" / f"cifar10_jpg_{name}.npz") as packed:
                bounds, whole = packed["offsets"].tolist(), packed["jpeg"].tobytes()
                # The files are sorted by class.
                drawn = np.random.default_rng(0).permutation(len(packed["labels"]))[:n]
                for index in drawn.tolist():
                    with Image.open(io.BytesIO(whole[bounds[index] : bounds[index + 1]])) as image:
                        pixels.append(np.asarray(image.convert("RGB")))
                labels.append(packed["labels"][drawn])
        np.savez(path, images=np.stack(pixels), labels=np.concatenate(labels))
    return path


# Banking77: texts of 32 tokens and bf16 halve a step on a processor with such instructions.
TRIALS: dict[str, Trial] = {
    "digits": Trial(recipe="digits-vit", steps=(375, 750, 1500)),
    "nci": Trial(recipe="nci-egt", steps=(300, 600, 1200), unit="squared deviations"),
    "docstrings": Trial(recipe="texts-encoder", steps=(250, 500, 1000)),
    "esol": Trial(
        recipe="table-egt",
        steps=(300, 600, 1200, 2400),
        changes=("data.source=DATA/mol/esol.csv.xz",),
        unit="squared deviations",
    ),
    "banking77": Trial(
        recipe="texts-encoder",
        steps=(400, 800),
        changes=(
            "data.source=DATA/cls/banking77_train.csv.xz",
            "data.test=DATA/cls/banking77_test.csv.xz",
            "data.length=32",
            "train.precision=bf16",
        ),
    ),
    "cifar": Trial(recipe="images-vit", steps=(1500, 3000), prepare=_images),
    "enwiki": Trial(
        recipe="corpus-lm",
        steps=(1000,),
        changes=SMALL_LANGUAGE_MODEL,
        prepare=first_articles,
    ),
}
"""What is compared; those without DATA need no files."""


def main() -> None:
    """Train what is not there yet, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", nargs="+", choices=TRIALS, default=["digits", "nci"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, nargs="+", help="step counts, instead of the usual")
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks/ssa"))
    parser.add_argument(
        "--no-equal-time",
        action="store_true",
        help="leave that figure out: for trainings that were not made on an equally busy machine",
    )
    given = parser.parse_args()
    rows = rows_of_others(RESULTS, given.tasks)
    for name in given.tasks:
        trial = TRIALS[name]
        trial = replace(trial, steps=tuple(sorted(given.steps))) if given.steps else trial
        rows += _rows(name, trial, given)
    write_rows(RESULTS, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def _rows(name: str, trial: Trial, given: argparse.Namespace) -> list[BenchmarkRow]:
    """Train one task in both ways, and compare."""
    arms = {
        (arm, n): [learnt(name, trial, arm, n, seed, given) for seed in given.seeds]
        for arm in ("dense", "ssa")
        for n in trial.steps
    }
    held_out = {n: statistics.fmean(d.held_out for d in arms["dense", n]) for n in trial.steps}
    best = min(held_out, key=lambda n: held_out[n])
    found = []
    for figure, n in (("at the dense model's best steps", best), ("at twice those", 2 * best)):
        if ("dense", n) not in arms:
            continue
        pairs = list(zip(arms["dense", n], arms["ssa", n], strict=True))
        found.append(_gain(f"{name}: lower loss {figure} ({n})", pairs, trial))
    if not given.no_equal_time:
        found.append(_at_equal_time(name, trial, arms, best, given))
    own = {n: statistics.fmean(d.held_out for d in arms["ssa", n]) for n in trial.steps}
    best_ssa = min(own, key=lambda n: own[n])
    pairs = list(zip(arms["dense", best], arms["ssa", best_ssa], strict=True))
    figure = f"{name}: lower loss, each at its own best steps ({best} dense, {best_ssa} subsampled)"
    found.append(_gain(figure, pairs, trial))
    found += _ensembles(name, trial, arms["ssa", best_ssa])
    return found


def _at_equal_time(
    name: str,
    trial: Trial,
    arms: dict[tuple[str, int], list[Done]],
    best: int,
    given: argparse.Namespace,
) -> BenchmarkRow:
    """Train the subsampled models for as long as the dense ones took, and compare."""
    ratio = statistics.fmean(
        d.wall_s / s.wall_s for d, s in zip(arms["dense", best], arms["ssa", best], strict=True)
    )
    n_equal = max(10, round(best * ratio))
    equal = [learnt(name, trial, "ssa", n_equal, seed, given) for seed in given.seeds]
    pairs = list(zip(arms["dense", best], equal, strict=True))
    figure = f"{name}: lower loss at equal time ({best} dense, {n_equal} subsampled steps)"
    return _gain(figure, pairs, trial)


def learnt(
    name: str, trial: Trial, arm: str, steps: int, seed: int, given: argparse.Namespace
) -> Done:
    """Train once in a process of its own, or take what is there.

    Args:
        name: of the task; runs are named by it.
        trial: what is trained.
        arm: `dense` or `ssa`.
        steps: how long.
        seed: draws weights, rows and sources.
        given: has `data` and `runs`.
    """
    recipe = recipe_of(trial, arm, steps, seed, given)
    return train_once(recipe, given.runs / f"{name}-{arm}-{steps}-seed{seed}")


def recipe_of(trial: Trial, arm: str, steps: int, seed: int, given: argparse.Namespace) -> Recipe:
    """Put the recipe of one training together; as for `learnt`."""
    changes = [f"seed={seed}", f"train.steps={steps}"]
    changes += [c.replace("DATA", str(given.data)) for c in trial.changes]
    if trial.prepare is not None:
        given.runs.mkdir(parents=True, exist_ok=True)
        changes.append(f"data.source={trial.prepare(given.data, given.runs)}")
    # Looks in between cost time and decide nothing.
    changes += [f"train.evaluate_every={steps}", f"train.checkpoint_every={steps}"]
    return read_recipe(RECIPES / f"{trial.recipe}-{arm}.toml", changes)


def _gain(figure: str, pairs: Sequence[tuple[Done, Done]], trial: Trial) -> BenchmarkRow:
    """How much lower the subsampled model's loss is on test rows, by seed."""
    gains = [dense.test - ssa.test for dense, ssa in pairs]
    told = "; ".join(f"{dense.test:.4f} to {ssa.test:.4f}" for dense, ssa in pairs)
    note = f"dense to subsampled, per seed: {told}"
    return gain_row(figure, gains, trial.unit, note=note, command=COMMAND)


def _ensembles(name: str, trial: Trial, finished: Sequence[Done]) -> list[BenchmarkRow]:
    """Compare the dense pass of each subsampled model with its self-ensemble."""
    by_figure: dict[str, list[float]] = {}
    notes = []
    for done in finished:
        recipe = Recipe.model_validate_json((done.folder / RECIPE_FILE).read_text())
        task = make_task(recipe, done.folder / DATA_FOLDER)
        model = type(task.model()).from_pretrained(done.folder / MODEL_FOLDER).eval()
        if task.outputs(model, "held-out") is None:
            return []
        # How much each member keeps is chosen on rows that choices may look at.
        keep = min(KEEPS, key=lambda share: _ask(task, model, share, "held-out")["loss"][1])
        for figure, (dense, ensemble) in _ask(task, model, keep, "test").items():
            by_figure.setdefault(figure, []).append(dense - ensemble)
            notes.append(f"{figure} {dense:.4f} to {ensemble:.4f} (keep {keep:g})")
    return [
        gain_row(
            f"{name}: {figure} lower by a self-ensemble of {MEMBERS}",
            values,
            trial.unit if figure == "loss" else "",
            note="dense pass to ensemble: " + "; ".join(n for n in notes if n.startswith(figure)),
            command=COMMAND,
        )
        for figure, values in by_figure.items()
    ]


def _ask(
    task: Task, model: PreTrainedModel, keep: float, part: str
) -> dict[str, tuple[float, float]]:
    """Answer the rows of a part once densely and by each member."""
    dense = task.outputs(model, part)
    assert dense is not None
    generator = torch.Generator().manual_seed(0)
    with subsample(
        task.attending(model), keep=keep, per_example=True, in_eval=True, generator=generator
    ):
        told = [task.outputs(model, part) for _ in range(MEMBERS)]
    members = torch.stack([found.values for found in told if found is not None])
    if dense.values.shape[1] == 1:
        pairs = (dense.values, members.mean(dim=0))
        losses = [float(functional.mse_loss(v.squeeze(-1), dense.truth)) for v in pairs]
        return {"loss": (losses[0], losses[1])}
    truth = dense.truth.numpy()
    one = figures(dense.values.softmax(-1).double().numpy(), truth, 0)
    many = figures(members.softmax(-1).mean(dim=0).double().numpy(), truth, MEMBERS)
    return {
        "loss": (one.nll_nats, many.nll_nats),
        "calibration error": (one.ece, many.ece),
    }


if __name__ == "__main__":
    main()
