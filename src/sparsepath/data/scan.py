"""The two runs through a table: one to see what is in it, one to take rows.

Memory does not grow with the number of rows as long as a limit is set. Read with `rows.py`,
`columns.py` and `sampling.py`.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from sparsepath.data.columns import Columns, Sample
from sparsepath.data.profile import MISSING, MISSING_LABELS
from sparsepath.data.rows import Row, RowSource
from sparsepath.data.sampling import SmallestKeys, StratifiedSample, random_keys
from sparsepath.errors import DataError

MAX_TEXT_CHARS = 10_000
"""Longer texts are cut here when read; no encoder of the PoC sees that far."""

MAX_SKIPPED_SHARE = 0.5
"""A table of which more rows than this lack text or label is refused."""

_N_SURVEYED = 5_000
_SURVEYED_CHARS = 1_000
_MAX_COUNTED_LABELS = 100_000


@dataclass(slots=True)
class Counts:
    """What the second run met."""

    n_rows: int = 0
    """All rows, without the header."""

    n_no_text: int = 0
    """Rows left out because their text is missing."""

    n_no_label: int = 0
    """Rows left out because their label, and only that, is missing."""

    n_cut: int = 0
    """Texts longer than `MAX_TEXT_CHARS`."""

    labels: Counter[str] = field(default_factory=Counter)
    """Rows of each label; labels beyond the first 100,000 are not counted."""

    @property
    def n_usable(self) -> int:
        """Rows that have text and label."""
        return self.n_rows - self.n_no_text - self.n_no_label


def survey(source: RowSource, seed: int) -> Sample:
    """Run through the whole table once and keep a uniform sample of whole rows.

    Raises:
        DataError: if there is not a single row, or a byte of the file is wrong.
    """
    rows = source.rows(None)
    first = None if source.columns is not None else next(rows, None)
    kept = SmallestKeys(_N_SURVEYED)
    for at, (row, key) in enumerate(zip(rows, random_keys(seed), strict=False)):
        if kept.wants(key):
            kept.add(key, at, [cell[:_SURVEYED_CHARS] for cell in row])
    sampled = sorted((at, row) for _, at, row in kept.by_key())
    if first is None and not sampled:
        raise no_rows(source)
    return Sample(
        where=str(source.file.path),
        names=source.columns,
        first_row=first or [],
        rows=[row for _, row in sampled],
    )


class Picked(NamedTuple):
    """The cells of a row that matter; empty where there is no such column."""

    text: str
    label: str
    group: str


def picked_cells(source: RowSource, columns: Columns) -> Iterator[Picked]:
    """Text, label and group of every row below the header."""
    wanted = (columns.text, columns.label, columns.group)
    pick = tuple(at for at in wanted if at is not None)
    rows: Iterator[Row] = source.rows(pick)
    if source.columns is None and columns.has_header:
        rows = islice(rows, 1, None)
    for number, row in enumerate(rows, start=1):
        text, *others = row
        label = "" if columns.label is None else others.pop(0)
        group = "" if columns.group is None else others.pop(0)
        if "\0" in text or "\0" in label or "\0" in group:
            raise DataError(
                f"{source.file.path}: row {number} holds a NUL character",
                hint="remove it where the table is made",
            )
        yield Picked(text, label, group)


def collect(source: RowSource, columns: Columns, kept: StratifiedSample, seed: int) -> Counts:
    """Offer every usable row to a sample, and count.

    Raises:
        DataError: if there are no rows or most of them lack text or label.
    """
    counts = Counts()
    cells = picked_cells(source, columns)
    for (text, label, group), key in zip(cells, random_keys(seed + 1), strict=False):
        row_id = counts.n_rows
        counts.n_rows += 1
        label = label.strip()
        if text.strip() in MISSING:
            counts.n_no_text += 1
        elif label in MISSING_LABELS:
            counts.n_no_label += 1
        else:
            if len(text) > MAX_TEXT_CHARS:
                counts.n_cut += 1
                text = text[:MAX_TEXT_CHARS]
            if label in counts.labels or len(counts.labels) < _MAX_COUNTED_LABELS:
                counts.labels[label] += 1
            kept.add(key, row_id, text, label, group.strip())
    _check_skipped(source, columns, counts)
    return counts


def cut_note(n_cut: int) -> list[str]:
    """A sentence on texts that were too long, if there were any."""
    return [f"{n_cut:,} texts cut after {MAX_TEXT_CHARS:,} characters"] if n_cut else []


def no_rows(source: RowSource) -> DataError:
    """Say that a table is empty below its header."""
    return DataError(
        f"{source.file.path} has no rows", hint="give a table with a text and a label in each row"
    )


def _check_skipped(source: RowSource, columns: Columns, counts: Counts) -> None:
    if counts.n_rows == 0:
        raise no_rows(source)
    n_skipped = counts.n_rows - counts.n_usable
    if n_skipped > MAX_SKIPPED_SHARE * counts.n_rows:
        assert columns.label is not None
        text, label = columns.names[columns.text], columns.names[columns.label]
        raise DataError(
            f"{source.file.path}: {n_skipped:,} of {counts.n_rows:,} rows lack what is needed "
            f'({counts.n_no_text:,} have no text in "{text}", {counts.n_no_label:,} no label in '
            f'"{label}")',
            hint="choose other columns with --text-column and --label-column, or fill these in",
        )
