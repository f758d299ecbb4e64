"""The folder of a planted sparse classifier, with all that steering needs."""

import csv
from pathlib import Path

from tests.concepts import planted_classifier as planted

from sparsepath.models.describe import describe
from sparsepath.models.save import load_classifier
from sparsepath.pathways.means import save_means
from sparsepath.pathways.neurons import Texts, save_neurons, study_neurons
from sparsepath.runtime.build import add_graphs
from sparsepath.trace.batches import bucketed_batches, encode_texts
from sparsepath.trace.gates import unit_means


def save_steerable(place: Path) -> Path:
    """Write `model`, with graph and neurons.json, and `table.csv` beside it."""
    folder = planted.save_model(place / "model")
    table = planted.save_table(place / "table.csv", n=90)
    loaded = load_classifier(folder)
    with table.open(encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    texts = [text for text, _ in rows]
    encoded = encode_texts(loaded.tokenizer, texts, 32)
    studied = Texts(texts, encoded, [label for _, label in rows], list(range(len(rows))))
    save_neurons(folder, study_neurons(loaded.model, loaded.tokenizer, studied, pad_id=0))
    batches = bucketed_batches(encoded, None, 32, pad_id=0)
    save_means(folder, unit_means(loaded.model, batches))
    add_graphs(folder, describe(loaded.model), labels=loaded.labels, pad_id=0)
    return folder
