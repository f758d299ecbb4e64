"""One door to every format."""

from pathlib import Path

from sparsepath.data.delimited import delimited_source
from sparsepath.data.files import find_file
from sparsepath.data.folder import folder_source
from sparsepath.data.json_lines import json_lines_source
from sparsepath.data.parquet import parquet_source
from sparsepath.data.rows import RowSource

_OPENERS = {
    "csv": delimited_source,
    "tsv": delimited_source,
    "jsonl": json_lines_source,
    "parquet": parquet_source,
    "folder": folder_source,
}


def open_source(path: Path) -> RowSource:
    """Open a table of any format that is read.

    Raises:
        DataError: if the path or the beginning of the file is not what it should be.
    """
    file = find_file(path)
    return _OPENERS[file.format](file)
