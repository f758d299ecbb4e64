"""Texts to measure features on: a labelled table split for choosing and judging, or a corpus."""

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from tokenizers import Tokenizer

from sparsepath.concepts.rows import Place, RowSettings, rows_of
from sparsepath.data.split import split_table
from sparsepath.data.tables import Table, read_table
from sparsepath.errors import DataError
from sparsepath.evaluate.features.options import MeasureOptions
from sparsepath.evaluate.features.read import Encoded, encode
from sparsepath.evaluate.features.removal import TwoAttributes
from sparsepath.evaluate.features.site import LEAST_ROWS, LabelledRows


class Texts(NamedTuple):
    """What is read, and what is known of it."""

    encoded: Encoded
    labelled: LabelledRows | None
    """None of a corpus."""
    attributes: TwoAttributes | None
    """None without a second label."""
    notes: tuple[str, ...]


def corpus_texts(tokenizer: Tokenizer, source: str, options: MeasureOptions) -> Texts:
    """Cut a corpus into rows of tokens, as a catalogue does, without an end token.

    Raises:
        DataError: if it cannot be read, or fills no row.
    """
    settings = RowSettings(source=source, length=options.length, share_held_out=0.0, end_id=None)
    rows = islice(rows_of(settings, tokenizer, Place()), options.tokens // options.length)
    ids = [row.ids.tolist() for row in rows]
    if not ids:
        raise DataError(
            f"{source} fills no row of {options.length} tokens",
            hint="give more text, or a smaller --length",
        )
    return Texts(Encoded(ids, [[True] * len(row) for row in ids]), None, None, ())


def table_texts(tokenizer: Tokenizer, path: Path, options: MeasureOptions) -> Texts:
    """Read and split a labelled table; copies and near copies of a text stay on one side.

    Raises:
        DataError: if it cannot be read or is too small.
    """
    table = read_table(
        path,
        text_column=options.text_column,
        label_column=options.label_column,
        limit=options.rows,
        seed=options.seed,
    )
    split = split_table(
        table,
        seed=options.seed,
        valid_share=options.test_share / 2,
        test_share=options.test_share / 2,
        drop_rare=True,
    )
    train, test = split.train, np.sort(np.concatenate([split.valid, split.test]))
    labelled = LabelledRows(split.label_ids, tuple(split.label_names), train, test)
    attributes = None
    if options.attribute is not None:
        attributes = _attributes(path, table, options.attribute, (train, test))
    encoded = encode(tokenizer, split.texts, options.length)
    notes = (*table.notes, *split.notes, *_few_rows(labelled))
    return Texts(encoded, labelled, attributes, notes)


def _few_rows(labelled: LabelledRows) -> list[str]:
    """Say which classes have too few rows for any figure."""
    known = labelled.usable(at_least=0)
    few = [name for number, name in enumerate(labelled.names) if number not in known]
    return [f"left out, with fewer than {LEAST_ROWS} rows: {', '.join(few)}"] if few else []


def _attributes(
    path: Path,
    table: Table,
    column: str,
    parts: tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]],
) -> TwoAttributes:
    """Read the second label and take the two commonest values of both."""
    second = read_table(path, text_column=table.text_column, label_column=column)
    by_row = dict(zip(second.row_ids, second.labels, strict=True))
    others = [by_row.get(row, "") for row in table.row_ids]
    names = (table.label_column, column)
    return TwoAttributes(_two(table.labels), _two(others), names, *parts)


def _two(values: list[str]) -> Int[np.ndarray, " rows"]:
    """Number the two commonest values 1 and 0; others, and missing ones, are -1."""
    common = Counter(value for value in values if value).most_common(2)
    if len(common) < 2:
        raise DataError(
            f"a label has {len(common)} different values, 2 are needed",
            hint="name a column of two or more values",
        )
    number = {common[0][0]: 1, common[1][0]: 0}
    return np.array([number.get(value, -1) for value in values], dtype=np.int64)
