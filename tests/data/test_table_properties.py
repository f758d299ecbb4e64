"""Whatever a table holds, reading gives back its rows, or a `DataError` and nothing else."""

import csv
import gzip
import io
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparsepath.data.profile import MISSING
from sparsepath.data.split import split_table
from sparsepath.data.tables import Table, read_table
from sparsepath.errors import DataError

RELAXED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
TEXTS = CELLS.filter(lambda cell: cell.strip() not in MISSING)
LABELS = st.sampled_from(["yes", "no", "多分", "a, b", 'say "no"'])
NAMES = st.lists(st.text("abcdefghijklm本文", min_size=1, max_size=9), max_size=3, unique=True)


def read_bytes(content: bytes, name: str = "data.csv", **options: str) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return read_table(path, **options)


def csv_bytes(rows: list[list[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(rows)
    return out.getvalue().encode("utf-8")


@RELAXED
@given(
    pairs=st.lists(st.tuples(TEXTS, LABELS), min_size=2, max_size=30),
    others=NAMES,
    position=st.integers(0, 3),
)
def test_named_columns_come_back_as_they_were_written(
    pairs: list[tuple[str, str]], others: list[str], position: int
) -> None:
    names = ["the text", "the label"]
    rows = [names, *[list(pair) for pair in pairs]]
    for at, other in enumerate(others):
        column = [f"z{other}", *[f"{at}{row}" for row in range(len(pairs))]]
        rows = [
            [*row[:position], cell, *row[position:]] for row, cell in zip(rows, column, strict=True)
        ]
    content = csv_bytes(rows)
    if len({label for _, label in pairs}) < 2:
        return
    table = read_bytes(content, text_column="the text", label_column="the label")
    assert table.texts == [text for text, _ in pairs]
    assert table.labels == [label for _, label in pairs]
    assert table.notes == []


@RELAXED
@given(
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=20),
    text=st.none() | st.sampled_from(["column 1", "text"]),
)
def test_any_cells_give_a_table_or_a_clear_error(rows: list[list[str]], text: str | None) -> None:
    options = {} if text is None else {"text_column": text}
    try:
        table = read_bytes(csv_bytes(rows), **options)
    except DataError:
        return
    assert len(table.texts) == len(table.labels) == len(table.row_ids) > 0
    assert all(
        text.strip() and label.strip()
        for text, label in zip(table.texts, table.labels, strict=True)
    )
    assert len(set(table.labels)) >= 2


@RELAXED
@given(
    content=st.binary(max_size=300),
    name=st.sampled_from(["d.csv", "d.tsv", "d.jsonl", "d.parquet"]),
)
def test_any_bytes_give_a_table_or_a_clear_error(content: bytes, name: str) -> None:
    with suppress(DataError):
        read_bytes(content, name)


@RELAXED
@given(
    at=st.integers(0, 10_000),
    value=st.integers(0, 255),
    name=st.sampled_from(["data.csv", "data.csv.gz", "data.jsonl"]),
)
def test_one_changed_byte_gives_a_table_or_a_clear_error(at: int, value: int, name: str) -> None:
    if name == "data.jsonl":
        lines = [f'{{"text": "文 number {row}", "label": "{"ab"[row % 2]}"}}' for row in range(20)]
        content = "\n".join(lines).encode()
    else:
        content = csv_bytes(
            [["text", "label"], *[[f"文 {row}", "ab"[row % 2]] for row in range(20)]]
        )
    changed = bytearray(gzip.compress(content, mtime=0) if name.endswith("gz") else content)
    changed[at % len(changed)] = value
    with suppress(DataError):
        read_bytes(bytes(changed), name)


@RELAXED
@given(
    texts=st.lists(st.text("ab 犬猫", max_size=12), min_size=12, max_size=80),
    seed=st.integers(0, 3),
)
def test_no_split_has_equal_texts_on_both_sides(texts: list[str], seed: int) -> None:
    table = Table(
        texts=texts,
        labels=["xyz"[at % 3] for at in range(len(texts))],
        row_ids=list(range(len(texts))),
        text_column="text",
        label_column="label",
        how_found="",
        has_header=True,
        n_rows_seen=len(texts),
        sampled=False,
        sha256="",
    )
    try:
        split = split_table(table, seed=seed)
    except DataError:
        return
    parts = [
        {" ".join(split.texts[row].split()) for row in rows}
        for rows in (split.train.tolist(), split.valid.tolist(), split.test.tolist())
    ]
    assert all(parts)
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert {split.labels[row] for row in split.train.tolist()} == {"x", "y", "z"}
