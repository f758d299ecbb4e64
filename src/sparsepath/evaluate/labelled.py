"""A labelled table as a saved classifier reads it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.data.labels import known_label_ids
from sparsepath.data.tables import read_table
from sparsepath.models.save import LoadedClassifier
from sparsepath.trace.batches import encode_texts


class LabelledRows(NamedTuple):
    """Rows of a table for one model."""

    texts: list[str]
    """As in the table."""
    encoded: list[list[int]]
    """Token ids of each text."""
    truth: NDArray[np.int64]
    """Class index of each."""
    row_ids: list[int]
    """Where each row was in the table, from 0."""


def read_labelled(
    loaded: LoadedClassifier, data: Path | str, *, limit: int, seed: int
) -> LabelledRows:
    """Read a labelled table for a model.

    Args:
        loaded: the classifier.
        data: the table.
        limit: rows at most; more are drawn from by the seed.
        seed: draws them.

    Raises:
        DataError: if the table cannot be read, or has labels that the model does not know.
    """
    table = read_table(data, limit=limit, seed=seed)
    encoded = encode_texts(loaded.tokenizer, table.texts, loaded.model.config.max_length)
    truth = known_label_ids(table.labels, loaded.labels)
    return LabelledRows(list(table.texts), encoded, truth, table.row_ids)
