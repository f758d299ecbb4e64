"""Labelled tables and lists of texts, read from any supported file.

A file is run through twice: the first run looks at a random sample of whole rows to find the
columns and checks every byte; the second takes text and label, or a stratified sample of them
when there are more rows than the caller wants. Read with `sources.py` (formats), `scan.py` (the
two runs) and `columns.py` (finding the columns).
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from sparsepath.artifacts.provenance import sha256_file, sha256_folder
from sparsepath.data.columns import Columns, find_columns
from sparsepath.data.labels import check_labels, whole_number_labels
from sparsepath.data.profile import MISSING, MISSING_LABELS
from sparsepath.data.rows import RowSource
from sparsepath.data.sampling import StratifiedSample
from sparsepath.data.scan import (
    MAX_TEXT_CHARS,
    Counts,
    collect,
    cut_note,
    no_rows,
    picked_cells,
    survey,
)
from sparsepath.data.sources import open_source


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Texts with their labels, ready to be split."""

    texts: list[str]
    """One per row, never empty, at most `MAX_TEXT_CHARS` long."""

    labels: list[str]
    """One per row, without surrounding white space."""

    row_ids: list[int]
    """Where each row was in the source, counted from 0 without the header."""

    text_column: str
    """Name of the column that the texts come from."""

    label_column: str
    """Name of the column that the labels come from."""

    how_found: str
    """One sentence on how the columns were found."""

    has_header: bool
    """False where the columns are named by position."""

    n_rows_seen: int
    """Rows in the source, also those skipped or not sampled."""

    sampled: bool
    """Whether there were more usable rows than asked for."""

    notes: list[str] = field(default_factory=list)
    """Sentences on what was skipped, cut or sampled."""

    sha256: str
    """Hash of the file as it lies on the disk (of names and contents for a folder)."""

    group_column: str | None = None
    """Name of the column whose equal cells keep rows together, if the user named one."""

    groups: list[str] | None = None
    """Its cells, one per row; rows with an empty one belong to no group."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Texts:
    """Every row of a table for prediction, in order, the empty ones too."""

    texts: list[str]
    """One per row; an empty string where the cell is missing."""

    labels: list[str] | None
    """One per row if a label column was asked for; an empty string where it is missing."""

    text_column: str
    """Name of the column that the texts come from."""

    how_found: str
    """One sentence on how the column was found."""

    notes: list[str] = field(default_factory=list)
    """Sentences on empty and cut texts."""

    sha256: str
    """Hash of the file as it lies on the disk."""


def read_table(
    path: Path | str,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Table:
    """Read a labelled table.

    Args:
        path: A csv, tsv, jsonl or parquet file, plain or compressed, or a folder of texts by class.
        text_column: Name (or position, as `column 2`) of the text column; found if None.
        label_column: The same for the labels.
        group_column: The same for a column whose equal cells keep rows on one side of the split.
        limit: Rows to keep at most, sampled so that rare labels stay; None keeps all.
        seed: For the sample.

    Raises:
        DataError: if the file, its columns or its labels cannot be used, saying what to do.
    """
    given = _Given(text_column, label_column, group_column)
    table, counts = _read(path, given, limit=limit, seed=seed)
    check_labels(str(path), table.label_column, counts.labels)
    return table


def read_test_table(
    path: Path | str, *, like: Table, limit: int | None = None, seed: int = 0
) -> Table:
    """Read a separate test table with the columns of the training table.

    Args:
        path: As for `read_table`.
        like: The training table, whose column names are looked up.
        limit: Rows to keep at most.
        seed: For the sample.

    Raises:
        DataError: as `read_table`; also if a column of the training table is missing. A test
            table may lack labels of the training table; `split_table` refuses unknown ones.
    """
    given = _Given(like.text_column, like.label_column, like.group_column)
    return _read(path, given, limit=limit, seed=seed).table


def read_texts(
    path: Path | str, *, text_column: str | None = None, label_column: str | None = None
) -> Texts:
    """Read the texts of a table for prediction; no row is left out, so that results line up.

    Args:
        path: As for `read_table`.
        text_column: Name or position of the text column; found if None.
        label_column: Name or position of a label column to read as well, or None.

    Raises:
        DataError: if the file or its columns cannot be used.
    """
    source = open_source(Path(path))
    columns = _find(source, _Given(text_column, label_column, None), wants_label=False, seed=0)
    texts: list[str] = []
    labels: list[str] | None = None if columns.label is None else []
    n_empty = n_cut = 0
    for text, label, _ in picked_cells(source, columns):
        is_empty = text.strip() in MISSING
        n_empty += is_empty
        n_cut += len(text) > MAX_TEXT_CHARS
        texts.append("" if is_empty else text[:MAX_TEXT_CHARS])
        if labels is not None:
            labels.append("" if label.strip() in MISSING_LABELS else label.strip())
    if not texts:
        raise no_rows(source)
    empty_note = [f"{n_empty:,} of {len(texts):,} rows have no text"] if n_empty else []
    return Texts(
        texts=texts,
        labels=labels,
        text_column=columns.names[columns.text],
        how_found=columns.how_found,
        notes=empty_note + cut_note(n_cut),
        sha256=_hash(source),
    )


class _Given(NamedTuple):
    """Columns that the user named."""

    text: str | None
    label: str | None
    group: str | None


class _Labelled(NamedTuple):
    table: Table
    counts: Counts


def _read(path: Path | str, given: _Given, *, limit: int | None, seed: int) -> _Labelled:
    source = open_source(Path(path))
    columns = _find(source, given, wants_label=True, seed=seed)
    assert columns.label is not None
    kept = StratifiedSample(limit)
    counts = collect(source, columns, kept, seed)
    label_column = columns.names[columns.label]
    renamed = whole_number_labels(str(path), label_column, counts.labels)
    rows = kept.rows()
    table = Table(
        texts=[row.text for row in rows],
        labels=[renamed.get(row.label, row.label) for row in rows],
        row_ids=[row.row_id for row in rows],
        text_column=columns.names[columns.text],
        label_column=label_column,
        how_found=columns.how_found,
        has_header=columns.has_header,
        n_rows_seen=counts.n_rows,
        sampled=counts.n_usable > len(rows),
        notes=_notes(counts, len(rows))
        + (["labels written as 1.0 are taken as 1"] if renamed else []),
        sha256=_hash(source),
        group_column=None if columns.group is None else columns.names[columns.group],
        groups=None if columns.group is None else [row.group for row in rows],
    )
    return _Labelled(table, counts)


def _find(source: RowSource, given: _Given, *, wants_label: bool, seed: int) -> Columns:
    sample = survey(source, seed)
    columns = find_columns(
        sample, text=given.text, label=given.label, group=given.group, wants_label=wants_label
    )
    if source.file.format != "folder":
        return columns
    return replace(columns, how_found="one text a file, labelled by the name of its folder")


def _notes(counts: Counts, n_kept: int) -> list[str]:
    notes = []
    n_skipped = counts.n_rows - counts.n_usable
    if n_skipped:
        notes.append(
            f"{n_skipped:,} of {counts.n_rows:,} rows skipped: {counts.n_no_text:,} without text, "
            f"{counts.n_no_label:,} without label"
        )
    notes.extend(cut_note(counts.n_cut))
    if counts.n_usable > n_kept:
        notes.append(
            f"{n_kept:,} of {counts.n_usable:,} usable rows sampled at random, rare labels kept"
        )
    return notes


def _hash(source: RowSource) -> str:
    path = source.file.path
    return sha256_folder(path) if path.is_dir() else sha256_file(path)
