"""The same rows come out of every format and every compression."""

import gzip
import json
import lzma
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparsepath.data.tables import read_table, read_texts
from sparsepath.errors import DataError, MissingExtraError

TEXTS = [
    "where is my card?",
    'she said "no", twice',
    "カードが届きません\n二行目",
    "naïve; a|b",
] * 3
LABELS = ["arrival", "other", "到着", "other"] * 3


def as_csv(path: Path, delimiter: str = ",") -> None:
    rows = [("text", "label"), *zip(TEXTS, LABELS, strict=True)]
    quoted = [delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    path.write_text("\r\n".join(quoted) + "\r\n", encoding="utf-8", newline="")


def as_tsv(path: Path) -> None:
    as_csv(path, "\t")


def as_jsonl(path: Path) -> None:
    lines = [
        json.dumps({"text": text, "label": label}, ensure_ascii=False)
        for text, label in zip(TEXTS, LABELS, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def as_parquet(path: Path) -> None:
    pq.write_table(pa.table({"text": TEXTS, "label": LABELS}), path)


WRITERS: dict[str, Callable[[Path], None]] = {
    "csv": as_csv,
    "tsv": as_tsv,
    "jsonl": as_jsonl,
    "parquet": as_parquet,
}


def compressed(path: Path, compression: str) -> Path:
    if compression == "plain":
        return path
    out = path.with_name(f"{path.name}.{compression}")
    if compression == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, path.name)
            archive.writestr("__MACOSX/._junk", b"\x00")
    else:
        packer = gzip.compress if compression == "gz" else lzma.compress
        out.write_bytes(packer(path.read_bytes()))
    return out


@pytest.mark.parametrize("compression", ["plain", "gz", "xz", "zip"])
@pytest.mark.parametrize("name", WRITERS)
def test_every_format_and_compression_gives_the_same_rows(
    tmp_path: Path, name: str, compression: str
) -> None:
    plain = tmp_path / f"data.{name}"
    WRITERS[name](plain)
    table = read_table(compressed(plain, compression))
    assert table.texts == TEXTS
    assert table.labels == LABELS
    assert table.row_ids == list(range(len(TEXTS)))
    assert (table.text_column, table.label_column) == ("text", "label")


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_csv_with_another_delimiter_is_noticed(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "data.csv"
    as_csv(path, delimiter)
    assert read_table(path).texts == TEXTS


def test_a_zip_may_name_the_format_only_inside(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    as_csv(tmp_path / "data.csv")
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tmp_path / "data.csv", "folder/data.csv")
    assert read_table(path).texts == TEXTS


def test_a_folder_by_class_gives_one_row_a_file_in_fixed_order(tmp_path: Path) -> None:
    for label, names in {"spam": ["2.txt", "1.txt"], "ham": ["a.txt", "b.txt"]}.items():
        (tmp_path / label).mkdir()
        for name in names:
            (tmp_path / label / name).write_text(f"{label} in {name}", encoding="utf-8")
    (tmp_path / "README.md").write_text("not a class")
    (tmp_path / "spam" / "notes.md").write_text("not a text")
    table = read_table(tmp_path)
    assert table.texts == ["ham in a.txt", "ham in b.txt", "spam in 1.txt", "spam in 2.txt"]
    assert table.labels == ["ham", "ham", "spam", "spam"]
    assert "folder" in table.how_found


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("sent,label\ngood day,a\nbad day,b\n", encoding="utf-8-sig")
    assert read_table(path).text_column == "sent"


def test_jsonl_values_become_cells(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    lines = [
        '{"text": "one thing", "label": 1}',
        "",
        '{"label": true, "text": "other thing", "extra": [1]}',
        '{"text": null, "label": 1}',
        '{"text": "half a pair \\ud83d", "label": 1}',
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    table = read_table(path)
    assert table.labels == ["1", "true", "1"]
    assert table.row_ids == [0, 1, 3]
    assert table.texts[2] == "half a pair ?"
    assert "1 without text" in table.notes[0]


def test_parquet_numbers_dates_and_nulls_are_read(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pq.write_table(
        pa.table({"text": ["a b", "c d", None, "e f"], "label": [1.0, 2.0, 1.0, None]}), path
    )
    table = read_table(path)
    assert table.texts == ["a b", "c d"]
    assert table.labels == ["1", "2"]
    assert table.notes[0].startswith("2 of 4 rows skipped: 1 without text, 1 without label")


def test_texts_for_prediction_keep_every_row(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("id,text\n1,first text\n2,NaN\n3,third text\n", encoding="utf-8")
    found = read_texts(path)
    assert found.texts == ["first text", "", "third text"]
    assert found.labels is None
    assert found.notes == ["1 of 3 rows have no text"]


def test_texts_for_prediction_can_bring_labels(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,truth\nfirst text,a\nsecond text,\n", encoding="utf-8")
    assert read_texts(path, label_column="truth").labels == ["a", ""]


def test_the_hash_changes_with_the_content(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\na b,x\nc d,y\n", encoding="utf-8")
    before = read_table(path).sha256
    path.write_text("text,label\na b,x\nc e,y\n", encoding="utf-8")
    assert read_table(path).sha256 != before


def test_an_unknown_ending_names_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "data.dat"
    path.write_text("text,label\n")
    with pytest.raises(DataError, match=r"'\.dat'[\s\S]*\.parquet"):
        read_table(path)


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.parquet"
    as_parquet(path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sparsepath\[train\]'"):
        read_table(path)
