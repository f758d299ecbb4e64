"""Rows of csv and tsv files, by the standard library's strict reader.

Strict means that broken quotes are an error with a line number and not silently another table.
Rows of another width than the first are collected and reported together at the end.
"""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from sparsepath.data.encoding import text_lines
from sparsepath.data.files import DataFile
from sparsepath.data.rows import Pick, Row, RowSource
from sparsepath.errors import DataError

MAX_CELL_CHARS = 32_000_000
"""Longest cell; a longer one is taken for a quote that never closes."""

_DELIMITERS = (",", "\t", ";", "|")
_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_N_PROBED_LINES = 200


def delimited_source(file: DataFile) -> RowSource:
    """Open a csv or tsv file; a csv may be separated by commas, semicolons, tabs or bars."""
    delimiter = "\t" if file.format == "tsv" else _find_delimiter(file)

    def rows(pick: Pick) -> Iterator[Row]:
        whole = _rows(file, delimiter)
        if pick is None:
            return whole
        return ([row[position] for position in pick] for row in whole)

    return RowSource(file=file, columns=None, rows=rows)


def _find_delimiter(file: DataFile) -> str:
    """Take the first delimiter that cuts the first lines into equally many cells, at least two."""
    lines = list(islice(text_lines(file), _N_PROBED_LINES))
    for delimiter in _DELIMITERS:
        with _long_cells():
            rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
        widths = {len(row) for row in (rows[:-1] if len(lines) == _N_PROBED_LINES else rows)}
        if len(widths) == 1 and min(widths) > 1:
            return delimiter
    return ","


def _rows(file: DataFile, delimiter: str) -> Iterator[Row]:
    width = 0
    start = 1
    uneven: list[tuple[int, int]] = []
    with _long_cells():
        reader = csv.reader(text_lines(file), delimiter=delimiter, strict=True)
        try:
            for row in reader:
                if len(row) != width and row:
                    width = width or len(row)
                    row = _without_empty_tail(row, width)
                    if len(row) != width:
                        uneven.append((start, len(row)))
                start = reader.line_num + 1
                if row and len(row) == width:
                    yield row
        except csv.Error as err:
            raise _quote_error(file, delimiter, start, err) from err
    if uneven:
        raise _uneven_error(file, delimiter, width, uneven)


def _without_empty_tail(row: Row, width: int) -> Row:
    """Drop the empty cells that spreadsheets leave to the right of the table."""
    return row[:width] if not any(row[width:]) else row


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let the csv module read cells of a megabyte and more; its limit is global."""
    before = csv.field_size_limit(MAX_CELL_CHARS)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _quote_error(file: DataFile, delimiter: str, line: int, err: csv.Error) -> DataError:
    if "unexpected end" in str(err) or "larger than field limit" in str(err):
        what = 'a quotation mark (") opens a cell that never closes'
    else:
        what = f'a quotation mark (") closes a cell early ({err})'
    return DataError(
        f"{file.path}, row beginning at line {line}: {what}",
        hint='inside a quoted cell write each " twice (""), or let the program that made the '
        f"file quote its cells; cells are separated by {_NAMES[delimiter]}",
    )


def _uneven_error(
    file: DataFile, delimiter: str, width: int, uneven: list[tuple[int, int]]
) -> DataError:
    lines = ", ".join(str(line) for line, _ in uneven[:5])
    more = ", ..." if len(uneven) > 5 else ""
    rows = "row has" if len(uneven) == 1 else "rows have"
    return DataError(
        f"{file.path}: {len(uneven)} {rows} another number of cells than the first row "
        f"({width}): line {lines}{more}; line {uneven[0][0]} has {uneven[0][1]}",
        hint=f"cells are separated by {_NAMES[delimiter]}: put cells that contain one in quotation "
        'marks ("like, this"), or remove these lines',
    )
