"""Do neurons of one number mean the same from layer to layer: TopK models and dense twins.

    python benchmarks/consistency.py --sparse A/model B/model C/model
        --dense A2/model B2/model C2/model --corpus TEXT [--tokens 60000]

Likeness is that of `sparsepath concepts track`: the cosine of what two neurons fire on. It is taken
between neurons of the same number in neighbouring layers, beside a permuted control (another neuron
of the upper layer). Only pairs of layers that are sparse in the TopK model are compared; the dense
twin is read by its k largest entries, and by k / 2 where the TopK model has two neurons an entry.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch

sys.path.insert(0, str(Path(__file__).parent))

from _trainings import gain_row
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.compare import profiles
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.concepts.track import layer_consistency

MINUTES = 10
COMMAND = "sparsepath bench consistency --sparse MODEL... --dense MODEL... --corpus TEXT"
RESULTS = Path("benchmarks/results/consistency.json")
TARGET = 3.0


class Likeness(NamedTuple):
    """Of neighbouring layers of one model."""

    by_layer: dict[int, tuple[float, float]]
    """By the lower layer: of neurons of one number, and of the control."""
    k: int
    is_two_sided: bool

    def over(self, layers: list[int]) -> tuple[float, float]:
        """Average some layers."""
        both = [self.by_layer[layer] for layer in layers]
        return statistics.fmean(b[0] for b in both), statistics.fmean(b[1] for b in both)


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sparse", type=Path, nargs="+", required=True)
    parser.add_argument("--dense", type=Path, nargs="+", required=True)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--tokens", type=int, default=60_000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    sparse = [likeness(model, given) for model in given.sparse]
    layers = sorted(sparse[0].by_layer)
    (k,) = {one.k for one in sparse}
    reads = [k, k // 2] if sparse[0].is_two_sided else [k]
    ours = [one.over(layers) for one in sparse]
    rows = [ratio("TopK neurons over their permuted control", ours)]
    for n in reads:
        twins = [likeness(model, given, n).over(layers) for model in given.dense]
        rows.append(ratio(f"dense twin read at k = {n} over its permuted control", twins))
        pairs = [(a[0], b[0]) for a, b in zip(ours, twins, strict=True)]
        rows.append(ratio(f"TopK neurons over those of the dense twin read at k = {n}", pairs))
    write_rows(RESULTS, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def likeness(model: Path, given: argparse.Namespace, dense_k: int | None = None) -> Likeness:
    """Catalogue a model, and compare its layers."""
    options = CatalogueOptions(tokens=given.tokens, vectors=False, dense_k=dense_k)
    with tempfile.TemporaryDirectory() as place:
        built = build_catalogue(model, given.corpus, options, out=Path(place) / "c.sqlite")
        with Catalogue(built.path) as catalogue:
            found = layer_consistency(profiles(catalogue, {}))
    (k,) = set(built.facts.k.values())
    by_layer = {one.layer: (one.mean, one.control) for one in found}
    return Likeness(by_layer, k, built.facts.is_two_sided)


def ratio(figure: str, pairs: list[tuple[float, float]]) -> BenchmarkRow:
    """Make a row of one ratio a model."""
    told = "; ".join(f"{a:.3f} and {b:.3f}" for a, b in pairs)
    return gain_row(
        f"layer-to-layer likeness: {figure}",
        [a / b for a, b in pairs],
        "x",
        target=TARGET,
        command=COMMAND,
        note=f"per model: {told}",
    )


if __name__ == "__main__":
    main()
