"""A labelled table as a saved classifier reads it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.data.tables import read_table
from sparsepath.errors import DataError
from sparsepath.models.save import LoadedClassifier
from sparsepath.trace.batches import encode_texts

SHOWN_LABELS = 8
"""Labels that an error lists."""


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
    config = loaded.model.config
    numbers = {str(name): int(number) for number, name in (config.id2label or {}).items()}
    unknown = sorted(set(table.labels) - set(numbers))
    if unknown:
        raise DataError(
            f"the model does not know the label {unknown[0]!r} ({len(unknown)} such labels)",
            hint=f"use a table with the model's labels: {', '.join(list(numbers)[:SHOWN_LABELS])}",
        )
    encoded = encode_texts(loaded.tokenizer, table.texts, config.max_length)
    truth = np.array([numbers[label] for label in table.labels])
    return LabelledRows(list(table.texts), encoded, truth, table.row_ids)
