"""A classifier's folder with all that commands want of it: weights, graphs, means, neurons."""

from collections.abc import Sequence
from pathlib import Path

from sparsepath.artifacts.neurons import NeuronsFile
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.describe import describe
from sparsepath.models.save import label_names, save_classifier
from sparsepath.models.units import UnitMeans
from sparsepath.pathways.means import save_means
from sparsepath.pathways.neurons import save_neurons
from sparsepath.runtime.build import add_graphs
from sparsepath.runtime.manifest import Precision

MEANS_ROWS = 128
"""Training rows over which the means of units are taken that explanations need, at most."""


def write_model_folder(
    folder: Path,
    model: PathwayClassifier,
    tokenizer_json: str,
    *,
    card: str,
    means: UnitMeans,
    neurons: NeuronsFile | None = None,
) -> None:
    """Write a folder that can be predicted with, explained and exported.

    Args:
        folder: being built; `artifacts.store.folder_atomic` makes it whole or absent.
        model: the classifier.
        tokenizer_json: text of `tokenizer.json`.
        card: text of `README.md`.
        means: of its units.
        neurons: what the neurons of a sparse model stand for.
    """
    save_classifier(folder, model, tokenizer_json, card=card)
    add_model_graphs(folder, model, ["fp32"])
    save_means(folder, means)
    if neurons is not None:
        save_neurons(folder, neurons)


def add_model_graphs(
    folder: Path, model: PathwayClassifier, precisions: Sequence[Precision]
) -> None:
    """Write graphs and manifest of a single model into its folder."""
    add_graphs(
        folder,
        describe(model),
        labels=label_names(model),
        pad_id=int(model.encoder.config.pad_token_id),
        precisions=precisions,
    )
