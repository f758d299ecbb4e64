"""Whether a self-ensemble notices inputs of another kind than it learnt from.

    python benchmarks/unfamiliar.py [--tasks digits esol banking77] --data DATA [--runs RUNS]

The trained models of `benchmarks/ssa.py` (each way at its own best number of steps, the same
folders) answer test rows and foreign ones: for digits 8 by 8 patches of two photographs, for ESOL
drug-like molecules of ZINC, for Banking77 questions of a science exam. AUROC is the probability
that a foreign row is doubted more; doubt is one minus the highest mean probability, or the
variance of the members where a number is predicted. Peers: one dense pass, dropout at inference
(a dense model that was trained with it) and a deep ensemble of dense models of three seeds.
"""

import argparse
import csv
import json
import lzma
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))

from sklearn.datasets import load_sample_images
from transformers import PreTrainedModel

from _trainings import Done, gain_row, rows_of_others
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.evaluate.unfamiliar import auroc, noticed
from sparsepath.nn.subsampling import subsample
from sparsepath.train.recipe import Recipe
from sparsepath.train.task import Task
from sparsepath.train.trainer import DATA_FOLDER, MODEL_FOLDER, RECIPE_FILE, make_task
from ssa import TRIALS, learnt

MINUTES = 15
COMMAND = "sparsepath bench unfamiliar --data DATA"
RESULTS = Path("benchmarks/results/unfamiliar.json")
MEMBERS = 16
KEEP = 0.75
"""Share of the sources that a member keeps."""
DROPPED = 0.1
"""Share of a hidden state that dropout drops."""
N_FOREIGN = 1000
BRIGHTEST = 16
Drawing = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One task: which models, and what is foreign to them."""

    dense_steps: int
    ssa_steps: int
    dropout_steps: int
    """Of the dense model that is trained with dropout; as good as it gets on held-out rows."""
    foreign: Callable[[Recipe, Path, Path], Recipe]
    """Turns the recipe into one whose test rows are foreign, given the data and a folder."""
    known: Callable[[Recipe, Path, Path], Recipe] | None = None
    """Turns the recipe into one with fewer test rows, where all of them take too long."""
    has_dropout: bool = False
    """Whether the dense model is trained with dropout anyway."""


def photographs(recipe: Recipe, data: Path, place: Path) -> Recipe:
    """Cut two photographs into patches of 8 by 8 pixels, each the mean of 8 by 8."""
    path = place / "photographs.npz"
    if not path.exists():
        patches = []
        for image in load_sample_images().images:
            gray = image.mean(axis=-1)
            height, width = (side // 64 * 64 for side in gray.shape)
            coarse = gray[:height, :width].reshape(height // 8, 8, width // 8, 8).mean((1, 3))
            cut = [
                coarse[y : y + 8, x : x + 8]
                for y in range(0, coarse.shape[0] - 7, 4)
                for x in range(0, coarse.shape[1] - 7, 4)
            ]
            patches.append(np.stack(cut))
        images = np.concatenate(patches) / 255 * BRIGHTEST
        np.savez(path, images=images.round().astype(np.uint8), labels=np.zeros(len(images), int))
    return _with_source(recipe, path)


def drugs(recipe: Recipe, data: Path, place: Path) -> Recipe:
    """Write some of ZINC's molecules as a table."""
    path = place / "zinc.csv"
    if not path.exists():
        with lzma.open(data / "mol" / "zinc_jtnn_valid.txt.xz", "rt") as file:
            smiles = [line.split()[0] for _, line in zip(range(N_FOREIGN), file, strict=False)]
        _write(path, ("smiles", "value"), [(text, str(i % 7)) for i, text in enumerate(smiles)])
    return _with_source(recipe, path)


def exam(recipe: Recipe, data: Path, place: Path) -> Recipe:
    """Write a science exam's questions as test rows; their labels mean nothing."""
    path = place / "exam.csv"
    if not path.exists():
        with lzma.open(data / "cls" / "banking77_test.csv.xz", "rt", newline="") as file:
            labels = sorted({row["category"] for row in csv.DictReader(file)})
        with lzma.open(data / "eval" / "arc_easy.jsonl.xz", "rt") as lines:
            asked = [json.loads(line)["query"] for line in lines][:N_FOREIGN]
        told = [text.removeprefix("Question:").split("\n")[0].strip() for text in asked]
        rows = [(text, labels[i % len(labels)]) for i, text in enumerate(told)]
        _write(path, ("text", "category"), rows)
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"test": path})})


def some_questions(recipe: Recipe, data: Path, place: Path) -> Recipe:
    """Draw some of Banking77's test rows."""
    path = place / "questions.csv"
    if not path.exists():
        with lzma.open(data / "cls" / "banking77_test.csv.xz", "rt", newline="") as file:
            rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
        drawn = np.random.default_rng(0).permutation(len(rows))[:N_FOREIGN]
        _write(path, ("text", "category"), [rows[index] for index in drawn.tolist()])
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"test": path})})


CASES: dict[str, Case] = {
    "digits": Case(dense_steps=375, ssa_steps=1500, dropout_steps=750, foreign=photographs),
    "esol": Case(dense_steps=1200, ssa_steps=1200, dropout_steps=1200, foreign=drugs),
    "banking77": Case(
        dense_steps=800,
        ssa_steps=800,
        dropout_steps=800,
        foreign=exam,
        known=some_questions,
        has_dropout=True,
    ),
}
"""What is asked."""


def main() -> None:
    """Train what is not there yet, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks/ssa"))
    given = parser.parse_args()
    rows = rows_of_others(RESULTS, given.tasks)
    rows += [row for name in given.tasks for row in compared(name, CASES[name], given)]
    write_rows(RESULTS, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def compared(name: str, case: Case, given: argparse.Namespace) -> list[BenchmarkRow]:
    """Measure every way to answer, seed by seed."""
    dense = [_learnt(name, "dense", case.dense_steps, seed, given) for seed in given.seeds]
    dropped = dense
    if not case.has_dropout:
        dropped = [_with_dropout(name, case, seed, given) for seed in given.seeds]
    sparse = [_learnt(name, "ssa", case.ssa_steps, seed, given) for seed in given.seeds]
    told: dict[str, list[float]] = {"self-ensemble": [], "dropout": []}
    one_pass = []
    for ours, peer in zip(sparse, dropped, strict=True):
        own, foreign = _tasks(ours, case, given)
        model = _model(own, ours)
        members = [_repeated(task, model, _subsampled(task, model)) for task in (own, foreign)]
        told["self-ensemble"].append(_auroc(*members))
        if members[0].shape[-1] > 1:
            passes = [_answers(task, model).unsqueeze(0) for task in (own, foreign)]
            one_pass.append(_auroc(*passes))
        peer_own, peer_foreign = _tasks(peer, case, given)
        peer_model = _model(peer_own, peer)
        pair = [_repeated(t, peer_model, _dropping(peer_model)) for t in (peer_own, peer_foreign)]
        told["dropout"].append(_auroc(*pair))
    # Where rows are split by the seed, the ensemble's other members have learnt from some of the
    # first one's test rows; that can only help this peer.
    deep = _deep(dense, case, given)
    peers = [("dropout at inference", told["dropout"], 0.0)]
    peers += [("a deep ensemble of three", [deep] * len(sparse), -0.02)]
    peers += [("one dense pass of the same model", one_pass, 0.0)] if one_pass else []
    return [
        gain_row(
            f"{name}: AUROC of foreign rows, self-ensemble of {MEMBERS} above {other}",
            [a - b for a, b in zip(told["self-ensemble"], theirs, strict=True)],
            "",
            target=target,
            command=COMMAND,
            note="self-ensemble and peer, per seed: "
            + "; ".join(
                f"{a:.3f} and {b:.3f}" for a, b in zip(told["self-ensemble"], theirs, strict=True)
            ),
        )
        for other, theirs, target in peers
    ]


def _learnt(name: str, arm: str, steps: int, seed: int, given: argparse.Namespace) -> Done:
    """Train one model, or take it."""
    return learnt(name, TRIALS[name], arm, steps, seed, given)


def _with_dropout(name: str, case: Case, seed: int, given: argparse.Namespace) -> Done:
    """Train a dense model with dropout, or take it."""
    changes = (*TRIALS[name].changes, f"model.dropout={DROPPED}")
    trial = replace(TRIALS[name], changes=changes)
    return learnt(f"{name}-dropout", trial, "dense", case.dropout_steps, seed, given)


def _tasks(done: Done, case: Case, given: argparse.Namespace) -> tuple[Task, Task]:
    """Give the task of a model, and the one whose test rows are foreign."""
    recipe = Recipe.model_validate_json((done.folder / RECIPE_FILE).read_text())
    foreign = case.foreign(recipe, given.data, given.runs)
    own = case.known(recipe, given.data, given.runs) if case.known else recipe
    folder = done.folder / DATA_FOLDER
    return make_task(own, folder), make_task(foreign, folder)


def _model(task: Task, done: Done) -> PreTrainedModel:
    """Load a trained model."""
    model: PreTrainedModel = type(task.model()).from_pretrained(done.folder / MODEL_FOLDER)
    model.eval()
    return model


def _answers(task: Task, model: nn.Module) -> Tensor:
    """Answer the test rows once: probabilities, or numbers, [rows, outputs]."""
    found = task.outputs(model, "test")
    assert found is not None
    values = found.values.double()
    return values.softmax(-1) if values.shape[1] > 1 else values


def _repeated(task: Task, model: PreTrainedModel, drawing: Drawing) -> Tensor:
    """Answer the test rows by every member, [members, rows, outputs]."""
    with drawing():
        return torch.stack([_answers(task, model) for _ in range(MEMBERS)])


def _subsampled(task: Task, model: PreTrainedModel) -> Drawing:
    """Draw sources for each member."""
    return lambda: subsample(
        task.attending(model),
        keep=KEEP,
        per_example=True,
        in_eval=True,
        generator=torch.Generator().manual_seed(0),
    )


def _dropping(model: PreTrainedModel) -> Drawing:
    """Leave dropout on."""

    @contextmanager
    def drawn() -> Iterator[None]:
        drops = [module for module in model.modules() if isinstance(module, nn.Dropout)]
        assert drops
        with torch.random.fork_rng():
            torch.manual_seed(0)
            for module in drops:
                module.train()
            yield
            for module in drops:
                module.eval()

    return drawn


def _deep(dense: list[Done], case: Case, given: argparse.Namespace) -> float:
    """Measure the models of all seeds together."""
    own, foreign = _tasks(dense[0], case, given)
    models = [_model(own, done) for done in dense]
    return _auroc(*(torch.stack([_answers(t, m) for m in models]) for t in (own, foreign)))


def _auroc(own: Tensor, foreign: Tensor) -> float:
    """Give the probability that a foreign row is doubted more."""
    if own.shape[-1] > 1:
        return noticed("", own.numpy(), foreign.numpy()).by_confidence
    spread = [members.squeeze(-1).var(dim=0).numpy() for members in (own, foreign)]
    return auroc(*spread)


def _with_source(recipe: Recipe, path: Path) -> Recipe:
    """Read other rows, all but two of which are test rows."""
    data = {"source": str(path), "train_rows": 1, "held_out_rows": 1}
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=data)})


def _write(path: Path, header: tuple[str, str], rows: list[tuple[str, str]]) -> None:
    """Write a table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


if __name__ == "__main__":
    main()
