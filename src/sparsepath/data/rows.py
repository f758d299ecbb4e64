"""Rows of cells from any format, one at a time, so that memory stays flat.

A `RowSource` can be run through as often as needed: the table reader does it twice, first to
find the columns, then to take the rows.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sparsepath.data.files import DataFile

Row = list[str]
Pick = tuple[int, ...] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RowSource:
    """A table that can be read from its start any number of times."""

    file: DataFile
    """Where it comes from."""

    columns: tuple[str, ...] | None
    """Names that the format itself carries; None where the first row may or may not be names."""

    rows: Callable[[Pick], Iterator[Row]]
    """Starts a run over all rows; with a tuple of positions, only those cells in that order."""


def cell_text(value: Any) -> str:
    """Write a typed value as a cell; None and not-a-number become the empty cell."""
    if isinstance(value, str):
        # A lone surrogate (half of a pair) cannot be written as UTF-8, so no tokenizer takes it.
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
