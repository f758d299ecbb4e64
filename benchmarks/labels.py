"""How well labels of neurons hold on text they were not found on: TopK models and dense twins.

    python benchmarks/labels.py --sparse A/model B/model C/model --dense A2/model B2/model C2/model
        [--sae A3 B3 C3] --corpus TEXT [--tokens 60000] [--dense-k 20 80]

Every model is catalogued on the same text, which it should not have learnt from. Compared are the
same layers, those that are sparse in the TopK model. Where a TopK model keeps by magnitude, each
sign of an entry is a neuron; the dense twin is read twice: its k largest entries by value, as many
as the TopK model keeps, and k / 2, which makes a dense neuron fire as often as one of those.
--dense-k names other numbers (half of the width: a dense neuron as it is, on at every other token).
With --sae the latents of autoencoders over the dense twins are named too, and compared on their
layer.
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
from sparsepath.artifacts.catalogue_query import layer_summaries
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.options import CatalogueOptions

MINUTES = 10
COMMAND = "sparsepath bench labels --sparse MODEL... --dense MODEL... --sae SAE... --corpus TEXT"
RESULTS = Path("benchmarks/results/labels.json")
"""Unless --out names another."""


class Scores(NamedTuple):
    """Of one catalogue."""

    by_layer: dict[int, float]
    """Mean held-out balanced accuracy of live neurons."""
    control: float
    """The same with another neuron's label, over all layers."""
    k: int
    is_two_sided: bool


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sparse", type=Path, nargs="+", required=True)
    parser.add_argument("--dense", type=Path, nargs="+", required=True)
    parser.add_argument("--sae", type=Path, nargs="*", default=[])
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--tokens", type=int, default=60_000)
    parser.add_argument("--dense-k", type=int, nargs="*", help="instead of k, and k / 2")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    sparse = [scores(model, given) for model in given.sparse]
    (k,) = {one.k for one in sparse}
    read_at = given.dense_k or ([k, k // 2] if sparse[0].is_two_sided else [k])
    twins = {n: [scores(model, given, n) for model in given.dense] for n in read_at}
    layers = sorted(sparse[0].by_layer)
    facts = f"{given.tokens:,} tokens, layers {layers}; per model: "
    rows = [
        row("held-out score of labels, TopK model", means(sparse, layers), 0.75, facts, "higher"),
        row("another neuron's label, TopK model", [one.control for one in sparse], None, facts),
    ]
    for n, found in twins.items():
        told = means(found, layers)
        rows.append(row(f"held-out score of labels, dense twin read at k = {n}", told, 0.6, facts))
        ahead = [a - b for a, b in zip(means(sparse, layers), told, strict=True)]
        figure = f"TopK model above its dense twin read at k = {n}"
        rows.append(row(figure, ahead, 0.0, facts, "higher"))
    if given.sae:
        pairs = zip(given.dense, given.sae, strict=True)
        latents = [scores(model, given, autoencoder=sae) for model, sae in pairs]
        (layer,) = latents[0].by_layer
        told = means(latents, [layer])
        facts = f"{given.tokens:,} tokens, layer {layer}; per model: "
        rows.append(row("held-out score of labels, latents over the dense twin", told, None, facts))
        ahead = [a - b for a, b in zip(means(sparse, [layer]), told, strict=True)]
        rows.append(
            row("TopK model above latents over its dense twin", ahead, 0.0, facts, "higher")
        )
    write_rows(given.out, rows)
    print(json.dumps([one.model_dump(mode="json") for one in rows], indent=2))


def scores(
    model: Path,
    given: argparse.Namespace,
    dense_k: int | None = None,
    autoencoder: Path | None = None,
) -> Scores:
    """Catalogue a model, or an autoencoder over it, and read how good its labels are."""
    options = CatalogueOptions(
        tokens=given.tokens, vectors=False, dense_k=dense_k, autoencoder=autoencoder
    )
    with tempfile.TemporaryDirectory() as place:
        built = build_catalogue(model, given.corpus, options, out=Path(place) / "c.sqlite")
        with Catalogue(built.path) as catalogue:
            layers = layer_summaries(catalogue)
    assert built.facts.mean_control is not None
    (k,) = set(built.facts.k.values())
    by_layer = {one.layer: one.mean_score for one in layers if one.mean_score is not None}
    return Scores(by_layer, built.facts.mean_control, k, built.facts.is_two_sided)


def means(found: list[Scores], layers: list[int]) -> list[float]:
    """Average the layers that are compared, model by model."""
    return [statistics.fmean(one.by_layer[layer] for layer in layers) for one in found]


def row(
    figure: str, values: list[float], target: float | None, note: str, better: str = "lower"
) -> BenchmarkRow:
    """Make a row of one value a model."""
    note += ", ".join(f"{value:.3f}" for value in values)
    return gain_row(figure, values, "", target=target, note=note, better=better, command=COMMAND)


if __name__ == "__main__":
    main()
