"""Rows of parquet files, batch by batch, through pyarrow (extra `train`)."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sparsepath.data.files import DataFile, seekable
from sparsepath.data.rows import Pick, Row, RowSource, cell_text
from sparsepath.errors import DataError, needs_extra

_BATCH_ROWS = 4_096


def parquet_source(file: DataFile) -> RowSource:
    """Open a parquet file; nothing but its column names is read yet."""
    with _opened(file) as table:
        names = tuple(table.schema_arrow.names)

    def rows(pick: Pick) -> Iterator[Row]:
        return _rows(file, names if pick is None else tuple(names[at] for at in pick))

    return RowSource(file=file, columns=names, rows=rows)


def _rows(file: DataFile, names: tuple[str, ...]) -> Iterator[Row]:
    with _opened(file) as table:
        for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=list(names)):
            cells = {name: batch.column(name).to_pylist() for name in names}
            for at in range(batch.num_rows):
                yield [cell_text(cells[name][at]) for name in names]


@contextmanager
def _opened(file: DataFile) -> Iterator[Any]:
    """Open the file, and turn what pyarrow says about damage into a `DataError`."""
    with needs_extra("train", "reading parquet"):
        arrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    try:
        with seekable(file) as stream:
            yield parquet.ParquetFile(stream)
    except arrow.ArrowException as err:
        raise DataError(
            f"{file.path} is cut short, damaged or no parquet file: {err}",
            hint="copy or write it again; a quick test is: python -c "
            f"\"import pyarrow.parquet as p; p.read_table('{file.path}')\"",
        ) from err
