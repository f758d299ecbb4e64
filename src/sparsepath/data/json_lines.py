"""Rows of jsonl files: one JSON object per line, its keys the columns."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from sparsepath.data.encoding import text_lines
from sparsepath.data.files import DataFile
from sparsepath.data.rows import Pick, Row, RowSource, cell_text
from sparsepath.errors import DataError

_N_PROBED_OBJECTS = 1_000


def json_lines_source(file: DataFile) -> RowSource:
    """Open a jsonl file; its columns are the keys of the first 1,000 objects, as they come up."""
    columns: dict[str, None] = {}
    for item in islice(_objects(file), _N_PROBED_OBJECTS):
        columns.update(dict.fromkeys(item))
    names = tuple(columns)

    def rows(pick: Pick) -> Iterator[Row]:
        keys = names if pick is None else tuple(names[position] for position in pick)
        return ([cell_text(item.get(key)) for key in keys] for item in _objects(file))

    return RowSource(file=file, columns=names, rows=rows)


def _objects(file: DataFile) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text_lines(file), start=1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as err:
            raise _syntax_error(file, number, line, str(err)) from err
        if not isinstance(item, dict):
            raise DataError(
                f"{file.path}: line {number} is a {type(item).__name__} and not an object",
                hint='write every row as one object, like {"text": "...", "label": "..."}',
            )
        yield item


def _syntax_error(file: DataFile, number: int, line: str, reason: str) -> DataError:
    if number == 1 and line.lstrip().startswith("["):
        return DataError(
            f"{file.path} is one JSON list and not one object per line",
            hint=f"convert it with: jq -c '.[]' '{file.path}' > data.jsonl",
        )
    return DataError(
        f"{file.path}: line {number} is not JSON: {reason}",
        hint="every line must be one complete object; repair or remove this line",
    )
