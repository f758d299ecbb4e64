"""A label and its probability for every row of a table; the base package is enough."""

import csv
import io
import os
from pathlib import Path
from typing import Final, NamedTuple

from sparsepath.artifacts.store import write_text_atomic
from sparsepath.data.tables import read_texts
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.locate import locate
from sparsepath.runtime.manifest import Precision

BATCH: Final = 32
"""Texts that go through a graph together."""

CHUNK: Final = 8192
"""Rows tokenized at a time, so that memory does not grow with the table."""


class Prediction(NamedTuple):
    """What `predict_file` did."""

    out: Path
    """The file written."""
    n_rows: int
    """Rows in it, as many as the table has."""
    text_column: str
    """Column that was read."""
    notes: list[str]
    """What a user should know, such as rows without text."""


def predict_file(  # noqa: PLR0913 - what is read, by what, and where it goes
    model: Path | str,
    data: Path | str,
    out: Path | str,
    *,
    text_column: str | None = None,
    precision: Precision | None = None,
    threads: int | None = None,
    preset: str | None = None,
) -> Prediction:
    """Write a CSV file with the columns `row`, `label`, `probability`, one line a row of the table.

    Args:
        model: a model folder, or a run folder for its recommended model.
        data: any table that `data.tables` reads; a label column is not needed.
        out: file to write; it appears whole, and replaces a file of that name.
        text_column: name or position of the text column; found if None.
        precision: which graph to use; None: what a run recommends, fp32 for a model folder.
        threads: threads of one matrix product; all processors if None.
        preset: steering preset of a sparse classifier: its name in the folder, or its file.

    Raises:
        ConfigError: if the preset cannot be used.
        ModelError: if the model cannot be used.
        DataError: if the table cannot be used.
        RunError: if the result cannot be written.
    """
    found = locate(Path(model))
    engine = load_engine(
        found.folder,
        threads=os.cpu_count() or 1 if threads is None else threads,
        precision=precision or found.precision,
        preset=preset,
    )
    table = read_texts(data, text_column=text_column)
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["row", "label", "probability"])
    for start in range(0, len(table.texts), CHUNK):
        rows = engine.predict(table.texts[start : start + CHUNK], BATCH)
        for place, (number, share) in enumerate(
            zip(rows.argmax(axis=1).tolist(), rows.max(axis=1).tolist(), strict=True)
        ):
            writer.writerow([start + place, engine.labels[number], f"{share:.6f}"])
    write_text_atomic(Path(out), lines.getvalue())
    return Prediction(Path(out), len(table.texts), table.text_column, table.notes)
