"""A real classifier made sparse: what that costs, how well its neurons are named, what they decide.

    python benchmarks/classifier_concepts.py ENCODER --data DATA [--site SITE] [--k K] [--by RULE]

ENCODER, such as MiniLM, is fine-tuned on Banking77; the classifier is then converted, and beside
that healed equally but densely. All figures are of the 3,080 test rows, which nothing was fitted to
or chosen by, but those of labels: neurons are named on training questions, and labels are judged on
others. Run folders are kept under --runs, and a finished one is taken as it is.
"""

import argparse
import csv
import json
import lzma
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from _trainings import Done, gain_row, rows_of_others, train_once
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.catalogue_schema import CatalogueFacts
from sparsepath.artifacts.healing import HEALING_FILE, HealingFile
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.evaluate.faithfulness import Faithfulness, faithfulness
from sparsepath.pathways.explain_model import explain
from sparsepath.train.convert import conversion
from sparsepath.train.recipe_file import read_recipe
from sparsepath.train.trainer import MODEL_FOLDER

MINUTES = 40
COMMAND = "sparsepath bench classifier_concepts ENCODER --data DATA"
RESULTS = Path("benchmarks/results/classifier_concepts.json")
RECIPE = Path("recipes/texts-encoder-dense.toml")
SCRIPT = """
import json, sys
from sparsepath.evaluate.convert import convert
given = json.loads(sys.argv[1])
convert(given["model"], given["data"], given["out"], sites=given["sites"], changes=given["changes"])
"""
SHARE = 0.05
"""Of the units, that an explanation may name."""


class Found(NamedTuple):
    """Of one seed."""

    parent: Done
    dense: Done
    """The parent healed equally."""
    healing: HealingFile
    catalogue: CatalogueFacts
    explained: Faithfulness


def main() -> None:
    """Train what is not there yet, measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("encoder")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--site", choices=["block_out", "mlp_hidden"], default="block_out")
    parser.add_argument("--k", type=int, default=96)
    parser.add_argument("--by", choices=["value", "magnitude"], default="value")
    parser.add_argument("--steps", type=int, default=400, help="of the fine-tuning")
    parser.add_argument("--healing", type=int, default=300, help="steps")
    parser.add_argument("--texts", type=int, default=100, help="that are explained")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks/classifier_concepts"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = [studied(seed, given) for seed in given.seeds]
    rows = [*rows_of_others(RESULTS, [case_of(given)]), *told(given, found)]
    write_rows(RESULTS, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def studied(seed: int, given: argparse.Namespace) -> Found:
    """Train the three models of one seed, and look at the sparse one."""
    table = str(given.data / "cls" / "banking77_train.csv.xz")
    rows = [
        f"seed={seed}",
        f"data.test={given.data / 'cls' / 'banking77_test.csv.xz'}",
        "data.length=32",
    ]
    tuned = [
        *rows,
        f"data.source={table}",
        f"model.base={given.encoder}",
        *steps(given.steps),
    ]
    parent = train_once(read_recipe(RECIPE, tuned), given.runs / f"parent-{given.steps}-{seed}")
    base = parent.folder / MODEL_FOLDER
    healed = [*rows, *steps(given.healing), "train.batch_size=32"]
    recipe = conversion(base, table, {}, changes=healed)
    dense = train_once(recipe, given.runs / f"dense-{given.healing}-{seed}")
    out = given.runs / f"{given.site}-{given.k}-{given.by}-{given.healing}-{seed}"
    if not (out / MODEL_FOLDER / HEALING_FILE).exists():
        asked = {
            "model": str(base),
            "data": table,
            "out": str(out),
            "sites": {given.site: given.k},
            "changes": [*healed, f"topk.by={given.by}"],
        }
        print(f"{time.strftime('%H:%M:%S')} {out.name}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-c", SCRIPT, json.dumps(asked)], check=True,
                       stdout=sys.stderr)  # fmt: skip
    model = out / MODEL_FOLDER
    healing = HealingFile.model_validate_json((model / HEALING_FILE).read_text())
    with tempfile.TemporaryDirectory() as place:
        options = CatalogueOptions(tokens=None, vectors=False)
        facts = build_catalogue(model, table, options, out=Path(place) / "c.sqlite").facts
    explained = [explain(model, text, share=SHARE, seed=seed) for text in questions(given, seed)]
    return Found(parent, dense, healing, facts, faithfulness(explained, seed=seed))


def steps(n: int) -> list[str]:
    """Train so long; looks in between cost time and decide nothing."""
    return [f"train.steps={n}", f"train.evaluate_every={n}", f"train.checkpoint_every={n}"]


def questions(given: argparse.Namespace, seed: int) -> list[str]:
    """Draw test questions."""
    path = given.data / "cls" / "banking77_test.csv.xz"
    with lzma.open(path, "rt", newline="", encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    drawn = np.random.default_rng(seed).choice(len(texts), given.texts, replace=False)
    return [texts[number] for number in drawn]


def case_of(given: argparse.Namespace) -> str:
    """Name what is measured."""
    return f"Banking77, {given.site} {given.k} by {given.by}"


def told(given: argparse.Namespace, found: list[Found]) -> list[BenchmarkRow]:
    """Put the figures into rows."""
    stages = [{stage.name: stage for stage in one.healing.stages} for one in found]
    after = [stage["healed"].accuracy for stage in stages]
    dense = [one.dense.scores["accuracy"] for one in found]
    case = case_of(given)
    least = found[0].catalogue.least_score
    named = f"mean over live neurons; {least} makes a label"

    def row(
        figure: str, values: list[float], unit: str, note: str, **facts: object
    ) -> BenchmarkRow:
        note += ": " + ", ".join(f"{value:.3f}" for value in values)
        facts = {"target": None, "command": COMMAND} | facts
        return gain_row(f"{case}: {figure}", values, unit, note=note, **facts)

    points = [100 * (a - b) for a, b in zip(after, dense, strict=True)]
    return [
        row("accuracy of the parent", [s["parent"].accuracy for s in stages], "", "per seed"),
        row("accuracy when cut, not healed", [s["unhealed"].accuracy for s in stages], "",
            "per seed"),
        row("accuracy of the sparse model", after, "", "per seed"),
        row("accuracy of the parent healed equally", dense, "", "per seed"),
        row("sparse above healed densely", points, "points", "per seed"),
        row("held-out score of labels", [one.catalogue.mean_score or 0 for one in found], "", named,
            target=0.75),
        row("another neuron's label", [one.catalogue.mean_control or 0 for one in found], "", named,
            better="lower"),
        row("margin kept by the named units", [one.explained.margin_kept.value for one in found],
            "share", f"named are {_named(found):.1f} % of the units; per seed", target=0.9),
        row("margin kept by as many random units",
            [one.explained.random_margin_kept.value for one in found], "share", "per seed",
            target=0.15, better="lower"),
        row("margin left without the named units",
            [one.explained.margin_when_removed.value for one in found], "share", "per seed",
            better="lower"),
    ]  # fmt: skip


def _named(found: list[Found]) -> float:
    """Say how many of a hundred units explanations name."""
    return 100 * float(np.mean([one.explained.share_units_kept for one in found]))


if __name__ == "__main__":
    main()
