"""Documents of a corpus, one at a time, never all in memory.

Sources: the word `stdlib` (the Python standard library's own sources, which every Python has), a
text file whose documents are set apart by blank lines, a JSON-lines file with a key `text`, each
also .gz, .bz2 or .xz, a parquet file with a column `text`, a folder of such files and of any other
text files, one document each, or `datasets:` and the name of a dataset (`streamed.py`).
"""

import bz2
import gzip
import json
import lzma
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from sparsepath.data.streamed import PREFIX, streamed_documents
from sparsepath.errors import DataError

STDLIB = "stdlib"
"""The source that needs no file."""

OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}

OUTSIDE = frozenset({"test", "tests", "idle_test", "site-packages", "_vendor", "lib2to3"})
"""Folders of the standard library that are left out: data of tests, and other people's code."""

PARTS = (".txt", ".jsonl")
"""Files that hold several documents."""

PARQUET_ROWS = 256
"""Rows of a parquet file that are read together."""


def documents(
    source: str, *, subset: str | None = None, split: str = "train", column: str = "text"
) -> Iterator[str]:
    """Read the documents of a source in a fixed order.

    Args:
        source: `stdlib`, the path of a file or folder, or `datasets:` and a name.
        subset: of a dataset.
        split: of a dataset.
        column: key or column of the text, where rows have several.

    Raises:
        DataError: if there is no such source, or it cannot be read as text.
    """
    if source.startswith(PREFIX):
        name = source.removeprefix(PREFIX)
        yield from streamed_documents(name, subset=subset, split=split, column=column)
        return
    if source == STDLIB:
        root = Path(sysconfig.get_paths()["stdlib"])
        paths = sorted(root.rglob("*.py"))
        yield from (
            path.read_text(encoding="utf-8", errors="replace")
            for path in paths
            if not OUTSIDE & set(path.relative_to(root).parts)
        )
        return
    path = Path(source)
    if not path.exists():
        raise DataError(
            f"there is no corpus at {source}",
            hint=f"give data.source the path of a file or folder, or {STDLIB!r}",
        )
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        try:
            yield from _documents_of(file, column)
        # Damaged parquet files are a kind of ValueError.
        except (ValueError, EOFError, lzma.LZMAError, OSError) as err:
            raise DataError(
                f"{file} cannot be read as UTF-8 text ({err})",
                hint="give text files, packed by gzip, bzip2 or xz or not at all",
            ) from err


def is_held_out(number: int, share: float) -> bool:
    """Say whether a document is a validation one: evenly spread over the corpus, the first is not.

    Args:
        number: of the document, from 0.
        share: of the documents that is held out, 0 to 1.
    """
    return int((number + 1) * share) > int(number * share)


def _documents_of(path: Path, column: str) -> Iterator[str]:
    """Read the documents of one file."""
    if path.suffix.lower() == ".parquet":
        yield from _parquet_documents(path, column)
        return
    opener = OPENERS.get(path.suffix.lower(), open)
    kind = Path(path.stem).suffix.lower() if path.suffix.lower() in OPENERS else path.suffix.lower()
    with opener(path, "rt", encoding="utf-8") as file:
        if kind == ".jsonl":
            yield from _json_documents(file, path, column)
        elif kind in PARTS:
            yield from _paragraphs(file)
        else:
            yield "".join(file)


def _parquet_documents(path: Path, column: str) -> Iterator[str]:
    """Read the texts of a parquet file, a few rows at a time.

    Raises:
        DataError: if there is no such column of texts.
    """
    import pyarrow
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        kinds = {field.name: field.type for field in file.schema_arrow}
        kind = kinds.get(column)
        if kind not in (pyarrow.string(), pyarrow.large_string()):
            raise DataError(
                f"{path} has no texts in a column {column!r}; it has {', '.join(kinds)}",
                hint="name the column by data.column",
            )
        for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=[column]):
            yield from (text for text in batch.column(0).to_pylist() if text)


def _json_documents(lines: Iterable[str], path: Path, column: str) -> Iterator[str]:
    """Read the texts of JSON lines.

    Raises:
        DataError: if a line has no text.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield str(json.loads(line)[column])
        except (ValueError, KeyError, TypeError) as err:
            raise DataError(
                f"line {number} of {path} is no JSON object with a key {column!r}",
                hint="write one JSON object a line, and name the key of its text by data.column",
            ) from err


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Join lines up to the next blank one."""
    part: list[str] = []
    for line in lines:
        if line.strip():
            part.append(line)
        elif part:
            yield "".join(part)
            part = []
    if part:
        yield "".join(part)
