"""Trainings in processes of their own, kept and taken again; rows of what they gained."""

import json
import lzma
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from scipy.stats import t as student_t

from sparsepath.artifacts.benchmark import BenchmarkRow
from sparsepath.artifacts.provenance import machine, now_utc, package_versions
from sparsepath.artifacts.training_record import read_record
from sparsepath.train.recipe import Recipe
from sparsepath.train.trainer import MODEL_FOLDER

SCRIPT = """
import sys
from pathlib import Path
from sparsepath.train.recipe import Recipe
from sparsepath.train.trainer import train
train(Recipe.model_validate_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
"""


SMALL_LANGUAGE_MODEL = (
    "data.held_out=0.05",
    "tokenizer.size=2048",
    "model.d_model=160",
    "model.n_heads=5",
    "model.n_kv_heads=5",
    "model.d_mlp=384",
    "train.evaluate_rows=150",
)
"""Changes of the recipe `corpus-lm-dense`: 1.1 million parameters beside the embedding."""
N_BYTES = 5_000_000


class Done(NamedTuple):
    """One finished training."""

    folder: Path
    held_out: float
    """Loss on rows that choices may look at."""
    test: float
    """Loss on the rows that are reported."""
    wall_s: float
    """Seconds of its steps."""
    scores: dict[str, float]
    """What else was told of those rows."""


def train_once(recipe: Recipe, out: Path) -> Done:
    """Train in a process of its own, or take what is there."""
    path = out.with_name(f"{out.name}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(recipe.model_dump_json())
    if not (out / MODEL_FOLDER).exists():
        print(f"{time.strftime('%H:%M:%S')} {out.name}", file=sys.stderr, flush=True)
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(path), str(out)], check=True, stdout=sys.stderr
        )
    lines = read_record(out)
    looks = {line["part"]: line for line in lines if line["kind"] == "evaluation"}
    told = looks.get("test", looks["held-out"])
    known = {"kind", "step", "part", "loss_nats", "n", "wall_s"}
    return Done(
        out,
        looks["held-out"]["loss_nats"],
        told["loss_nats"],
        max(line["wall_s"] for line in lines if line["kind"] == "step"),
        {name: value for name, value in told.items() if name not in known},
    )


def first_articles(data: Path, place: Path) -> Path:
    """Write the first 5 MB of Wikipedia's articles, whole articles only; give the file."""
    path = place / "articles.txt"
    if not path.exists():
        with lzma.open(data / "lm" / "enwiki_articles.txt.xz") as file:
            text = file.read(N_BYTES).decode("utf-8", "ignore")
        place.mkdir(parents=True, exist_ok=True)
        path.write_text(text[: text.rindex("\n\n")], "utf-8")
    return path


def rows_of_others(path: Path, tasks: Sequence[str]) -> list[BenchmarkRow]:
    """Give the rows of earlier calls for other tasks; a row's figure begins with its task.

    Args:
        path: of the rows; there may be none yet.
        tasks: whose rows are to be made anew.
    """
    if not path.exists():
        return []
    known = [BenchmarkRow.model_validate(row) for row in json.loads(path.read_text())]
    return [row for row in known if row.figure.split(":")[0] not in tasks]


def gain_row(figure: str, values: Sequence[float], unit: str, **facts: object) -> BenchmarkRow:
    """Make a row of one value a seed, with Student's 95 % interval over the seeds.

    Args:
        figure: its name.
        values: one a seed; their mean is the row's value.
        unit: of the values.
        facts: what else the row holds; to be above zero is the target otherwise.
    """
    interval = None
    if len(values) > 1:
        half = float(student_t.ppf(0.975, len(values) - 1)) * statistics.stdev(values)
        half /= len(values) ** 0.5
        mean = statistics.fmean(values)
        interval = (mean - half, mean + half)
    return BenchmarkRow.model_validate(
        {
            "figure": figure,
            "value": statistics.fmean(values),
            "unit": unit,
            "better": "higher",
            "target": 0.0,
            "ci95": interval,
            "n": len(values),
            "threads": torch.get_num_threads(),
            "machine": str(machine().get("cpu", "")),
            "versions": package_versions(),
            "date": now_utc()[:10],
        }
        | facts
    )
