"""How much of a class one feature knows: TopK neurons, neurons of dense twins, latents over these.

    python benchmarks/probing.py --sparse A/model B/model --dense A2/model B2/model [--sae A3 B3]
        --data DATA [--classes 10] [--rows 1200] [--site SITE] [--out FILE]

Sparse probing as `sparsepath concepts measure` does it, on the questions of Banking77's first
classes in the alphabet, at every layer that is sparse in the TopK model; a model's figure is its
mean over these layers. Models may be language models or text classifiers. Features are chosen on
training rows, figures are those of test rows.
Compared are a TopK model, all entries of its dense twin, the twin's largest entries (as many as the
TopK model keeps) and, where given, a sparse autoencoder over the twin, at its own layer.
"""

import argparse
import csv
import json
import lzma
import statistics
import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from _trainings import gain_row
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.feature_metrics import FeatureMetrics
from sparsepath.artifacts.neuron import SITES
from sparsepath.evaluate.features.measure import measure_concepts
from sparsepath.evaluate.features.options import MeasureOptions

MINUTES = 15
COMMAND = "sparsepath bench probing --sparse MODEL... --dense MODEL... --sae SAE... --data DATA"
RESULTS = Path("benchmarks/results/probing.json")
KS = (1, 5)
AHEAD = 0.05


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sparse", type=Path, nargs="+", required=True)
    parser.add_argument("--dense", type=Path, nargs="+", required=True)
    parser.add_argument("--sae", type=Path, nargs="*", default=[])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--rows", type=int, default=1200)
    parser.add_argument("--site", choices=SITES, help="default: block_out where that is sparse")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        table = questions(given.data, Path(place) / "questions.csv", given.classes)
        rows = compared(given, table)
    write_rows(given.out, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def questions(data: Path, path: Path, n_classes: int) -> Path:
    """Write the questions of some classes as a table."""
    with lzma.open(data / "cls" / "banking77_train.csv.xz", "rt", newline="") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    wanted = sorted({label for _, label in rows})[:n_classes]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows(row for row in rows if row[1] in wanted)
    return path


def compared(given: argparse.Namespace, table: Path) -> list[BenchmarkRow]:
    """Probe every kind of feature, model by model."""
    options = {
        "metrics": ("sparse-probing",),
        "rows": given.rows,
        "length": 64,
        "ks": KS,
        "sites": () if given.site is None else (given.site,),
    }
    told: dict[str, list[FeatureMetrics]] = {"TopK neurons": []}
    for model in given.sparse:
        own = measure_concepts(model, table, MeasureOptions(**options))
        told["TopK neurons"].append(own)
    layers = tuple(sorted({int(row.site[1:3]) for row in told["TopK neurons"][0].rows}))
    (k,) = told["TopK neurons"][0].k.values()
    all_entries = MeasureOptions(**options, layers=layers)
    largest = MeasureOptions(**options, layers=layers, dense_k=k)
    told["dense neurons"] = [measure_concepts(m, table, all_entries) for m in given.dense]
    told[f"dense neurons, {k} largest"] = [measure_concepts(m, table, largest) for m in given.dense]
    if given.sae:
        told["latents over the dense twin"] = [
            measure_concepts(
                model, table, MeasureOptions(**options | {"sites": ()}, autoencoder=sae)
            )
            for model, sae in zip(given.dense, given.sae, strict=True)
        ]
    rows = []
    for n in KS:
        figure = f"k = {n}"
        ours = [_mean(one, figure) for one in told["TopK neurons"]]
        rows += [_row(f"accuracy of {n} of the {kind}", found, figure)
                 for kind, found in told.items()]  # fmt: skip
        for kind, found in list(told.items())[1:]:
            ahead = [a - _mean(b, figure) for a, b in zip(ours, found, strict=True)]
            target = AHEAD if kind == "dense neurons" else 0.0
            name = f"accuracy of {n} of the TopK neurons above {n} of the {kind}"
            note = "per model: " + ", ".join(f"{value:+.3f}" for value in ahead)
            rows.append(gain_row(name, ahead, "", target=target, note=note, command=COMMAND))
    return rows


def _mean(found: FeatureMetrics, figure: str) -> float:
    """Average a figure over layers."""
    values = [row.value for row in found.of("sparse-probing", figure)]
    return statistics.fmean(value for value in values if value is not None)


def _row(name: str, found: list[FeatureMetrics], figure: str) -> BenchmarkRow:
    """Make a row of one value a model, with the controls of each."""
    values = [_mean(one, figure) for one in found]
    controls: dict[str, list[float]] = {}
    for one in found:
        for row in one.of("sparse-probing", figure):
            for control, value in row.controls.items():
                controls.setdefault(control, []).append(value)
    note = "per model: " + ", ".join(f"{value:.3f}" for value in values) + "; controls: "
    note += ", ".join(f"{key} {statistics.fmean(some):.3f}" for key, some in controls.items())
    return gain_row(name, values, "", target=None, note=note, command=COMMAND)


if __name__ == "__main__":
    main()
