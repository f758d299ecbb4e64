"""Documents come one at a time from every kind of source, the same ones held out each time."""

import bz2
import gzip
import json
import lzma
from itertools import pairwise
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from sparsepath.data.corpus import documents, is_held_out
from sparsepath.errors import DataError


def test_documents_of_a_text_file_are_set_apart_by_blank_lines(tmp_path: Path) -> None:
    text = "one\nstill one\n\n\ntwo\n  \nthree"
    (tmp_path / "plain.txt").write_text(text)
    expected = ["one\nstill one\n", "two\n", "three"]
    assert list(documents(str(tmp_path / "plain.txt"))) == expected
    for module, ending in ((gzip, "gz"), (bz2, "bz2"), (lzma, "xz")):
        with module.open(tmp_path / f"a.txt.{ending}", "wt") as file:
            file.write(text)
        assert list(documents(str(tmp_path / f"a.txt.{ending}"))) == expected


def test_documents_of_json_lines_are_their_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "a\n\nb", "id": 1}) + "\n\n" + json.dumps({"text": "c"}))
    assert list(documents(str(path))) == ["a\n\nb", "c"]


def test_a_folder_is_read_in_order_and_other_text_files_are_one_document(tmp_path: Path) -> None:
    (tmp_path / "b.py").write_text("x = 1\n\ny = 2\n")
    (tmp_path / "a.txt").write_text("one\n\ntwo")
    assert list(documents(str(tmp_path))) == ["one\n", "two", "x = 1\n\ny = 2\n"]


def test_the_standard_library_is_there() -> None:
    sources = documents("stdlib")
    assert sum(len(next(sources)) for _ in range(20)) > 10_000


def test_held_out_documents_are_spread_evenly() -> None:
    held_out = [number for number in range(1000) if is_held_out(number, 0.02)]
    assert len(held_out) == 20
    assert {b - a for a, b in pairwise(held_out)} == {50}
    assert not is_held_out(0, 0.5)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "a"}\n{"other": 1}', "line 2"),
        ("a.jsonl", b"no json", "line 1"),
        ("a.txt", b"\xff\xfe\x00", "cannot be read"),
        ("a.txt.gz", b"not packed", "cannot be read"),
        ("a.txt.gz", gzip.compress(b"one\n\ntwo" * 100)[:-9], "cannot be read"),
        ("a.txt.xz", lzma.compress(b"one\n\ntwo" * 100)[:-9], "cannot be read"),
    ],
    ids=["no text", "no json", "no utf-8", "not packed", "cut gzip", "cut xz"],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(documents(str(tmp_path / name)))


def test_a_missing_source_is_named() -> None:
    with pytest.raises(DataError, match="no corpus at nowhere"):
        list(documents("nowhere"))


def test_documents_of_a_parquet_file_are_those_of_its_column(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"body": ["one\n\nstill one", "", "two"] * 200, "n": range(600)})
    pyarrow.parquet.write_table(table, path)
    assert list(documents(str(path), column="body")) == ["one\n\nstill one", "two"] * 200
    with pytest.raises(DataError, match="no texts in a column 'text'; it has body, n"):
        list(documents(str(path)))
    with pytest.raises(DataError, match="no texts in a column 'n'"):
        list(documents(str(path), column="n"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        list(documents(str(path), column="body"))


def test_a_dataset_is_streamed(tmp_path: Path) -> None:
    for part, n in (("train", 500), ("validation", 3)):
        lines = [json.dumps({"body": f"{part} {i}", "n": i}) for i in range(n)]
        (tmp_path / f"{part}.jsonl").write_text("\n".join(lines))
    source = f"datasets:{tmp_path}"
    found = documents(source, column="body")
    assert [next(found) for _ in range(3)] == ["train 0", "train 1", "train 2"]
    assert len(list(found)) == 497
    assert len(list(documents(source, column="body", split="validation"))) == 3
    with pytest.raises(DataError, match="no text in column 'text'; it has body, n"):
        list(documents(source))
    with pytest.raises(DataError, match="split test cannot be read"):
        list(documents(source, column="body", split="test"))
    with pytest.raises(DataError, match="subset other"):
        list(documents(source, column="body", subset="other"))
    with pytest.raises(DataError, match="cannot be read"):
        list(documents(f"datasets:{tmp_path / 'nowhere'}"))
