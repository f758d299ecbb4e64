"""First stage: read the table, split it, and keep the rows in the run folder."""

from collections import Counter

from sparsepath.artifacts.analysis import DatasetFacts
from sparsepath.artifacts.base import Artifact
from sparsepath.config import PocOptions
from sparsepath.data.split import Split, split_table
from sparsepath.data.stdlib_docs import load_stdlib_docs
from sparsepath.data.tables import Table, read_table, read_test_table

ROWS_PER_MINUTE = 2000
"""Rows that are worth reading for each minute of the run: more could not be trained on."""

MIN_ROWS, MAX_ROWS = 4_000, 200_000
"""Limits of the above."""


class RowsFile(Artifact):
    """`work/rows.json`: the rows that take part, and which part each belongs to."""

    texts: list[str]
    label_ids: list[int]
    """Class index of each row."""
    label_names: list[str]
    row_ids: list[int]
    """Where each row was in its source."""
    train: list[int]
    valid: list[int]
    test: list[int]
    sha256: str
    has_own_test: bool
    facts: DatasetFacts


def row_limit(minutes: float) -> int:
    """Give the number of rows that a run of so many minutes reads at most."""
    return int(min(MAX_ROWS, max(MIN_ROWS, ROWS_PER_MINUTE * minutes)))


def read_rows(options: PocOptions) -> RowsFile:
    """Read and split the table that the options name.

    Raises:
        DataError: if a table cannot be used, saying what to do.
    """
    limit = row_limit(options.minutes)
    test: Table | None = None
    if options.data is None:
        table = load_stdlib_docs()
    else:
        table = read_table(
            options.data,
            text_column=options.text_column,
            label_column=options.label_column,
            group_column=options.group_column,
            limit=limit,
            seed=options.seed,
        )
        if options.test is not None:
            test = read_test_table(options.test, like=table, limit=limit, seed=options.seed)
    split = split_table(table, test=test, seed=options.seed)
    return _rows_file(table, test, split)


def _rows_file(table: Table, test: Table | None, split: Split) -> RowsFile:
    """Put table and split into one record."""
    notes = [*table.notes, *(test.notes if test else []), *split.notes]
    parts = [Counter(split.labels[int(i)] for i in part) for part in _parts(split)]
    facts = DatasetFacts(
        text_column=table.text_column,
        label_column=table.label_column,
        how_found=table.how_found,
        n_rows=table.n_rows_seen,
        n_sampled=len(table.texts),
        duplicates_moved=split.n_exact_moved,
        near_duplicates_moved=split.n_near_moved,
        warnings=notes,
        label_counts={
            name: (parts[0][name], parts[1][name], parts[2][name]) for name in split.label_names
        },
    )
    return RowsFile(
        texts=split.texts,
        label_ids=split.label_ids.tolist(),
        label_names=split.label_names,
        row_ids=split.row_ids,
        train=split.train.tolist(),
        valid=split.valid.tolist(),
        test=split.test.tolist(),
        sha256=table.sha256,
        has_own_test=split.has_own_test,
        facts=facts,
    )


def _parts(split: Split) -> tuple[list[int], list[int], list[int]]:
    """Give train, valid and test positions as lists."""
    return split.train.tolist(), split.valid.tolist(), split.test.tolist()
