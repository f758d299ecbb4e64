"""Rows of a folder of text files by class: FOLDER/label/name.txt, one text a file."""

from collections.abc import Iterator
from pathlib import Path

from sparsepath.data.encoding import text_lines
from sparsepath.data.files import FORMATS, DataFile
from sparsepath.data.rows import Pick, Row, RowSource
from sparsepath.errors import DataError

COLUMNS = ("text", "label")
"""Columns of every folder by class."""


def folder_source(file: DataFile) -> RowSource:
    """Open a folder by class; files are read in the order of label, then name.

    Raises:
        DataError: if there are no sub-folders with `.txt` files, saying what is there instead.
    """
    if not any(_texts(folder) for folder in _classes(file.path)):
        raise _no_classes(file.path)

    def rows(pick: Pick) -> Iterator[Row]:
        for folder in _classes(file.path):
            for path in _texts(folder):
                row = [_whole_text(path), folder.name]
                yield row if pick is None else [row[position] for position in pick]

    return RowSource(file=file, columns=COLUMNS, rows=rows)


def _classes(folder: Path) -> list[Path]:
    inside = (item for item in folder.iterdir() if not item.name.startswith("."))
    return sorted(item for item in inside if item.is_dir())


def _texts(folder: Path) -> list[Path]:
    return sorted(
        item
        for item in folder.iterdir()
        if item.suffix.lower() == ".txt" and item.is_file() and not item.name.startswith(".")
    )


def _whole_text(path: Path) -> str:
    return "".join(text_lines(DataFile(path=path, format="folder")))


def _no_classes(folder: Path) -> DataError:
    layout = f"put one text a file: {folder}/LABEL/NAME.txt"
    tables = [
        item.name
        for item in folder.iterdir()
        if any(suffix.lower() in FORMATS for suffix in item.suffixes)
    ]
    tables.sort(key=lambda name: ("train" not in name, name))
    if tables:
        return DataError(
            f"{folder} is a folder without texts by class",
            hint=f"give the table itself: {folder / tables[0]}",
        )
    deeper = [item for item in _classes(folder) if any(_texts(below) for below in _classes(item))]
    if deeper:
        return DataError(
            f"{folder} has its texts one level too deep",
            hint=f"give the folder whose sub-folders are the labels, such as {deeper[0]}",
        )
    names = ", ".join(sorted(item.name for item in folder.iterdir())[:5]) or "nothing"
    return DataError(f"{folder} is a folder without texts by class (it holds {names})", hint=layout)
