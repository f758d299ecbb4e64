"""Whatever is wrong with a file or a label column is said with the values met and a fix."""

import csv
import gzip
import lzma
import os
import zipfile
from pathlib import Path

import pytest

from sparsepath.data.scan import MAX_TEXT_CHARS
from sparsepath.data.tables import read_table
from sparsepath.errors import DataError

GOOD = "text,label\n" + "".join(f"this is text number {at},{'ab'[at % 2]}\n" for at in range(400))


def refused(path: Path, **options: str) -> str:
    with pytest.raises(DataError) as caught:
        read_table(path, **options)
    assert caught.value.hint
    return str(caught.value)


def table_of(folder: Path, pairs: list[tuple[str, str]], name: str = "data.csv") -> Path:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *pairs])
    return path


def test_a_missing_file_is_answered_with_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").write_text(GOOD)
    assert "tickets.csv" in refused(tmp_path / "ticket.csv")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert "does not exist either" in refused(tmp_path / "no" / "data.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_says_who_may_change_it(tmp_path: Path) -> None:
    path = table_of(tmp_path, [("a b", "x")])
    path.chmod(0)
    assert "chmod u+r" in refused(path)


def test_a_pipe_is_not_a_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data.csv")
    assert "not an ordinary file" in refused(tmp_path / "data.csv")


@pytest.mark.parametrize("content", ["", "\n\n", "text,label\n"])
def test_an_empty_table_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(content)
    message = refused(path)
    assert "empty" in message or "no rows" in message


@pytest.mark.parametrize("name", ["data.jsonl", "data.csv.gz"])
def test_an_empty_table_of_another_format_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"") if name.endswith("gz") else b"\n")
    assert "no rows" in refused(path)


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("kind", ["gz", "xz", "zip"])
def test_a_truncated_file_is_named_as_such(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / f"data.csv.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("data.csv", GOOD)
    else:
        packer = gzip.compress if kind == "gz" else lzma.compress
        path.write_bytes(packer(GOOD.encode()))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    message = refused(path)
    assert "cut short or damaged" in message
    assert "download it again" in message


@pytest.mark.parametrize("kind", ["gz", "xz", "zip"])
def test_a_damaged_middle_is_named_as_such(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"data.csv.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("data.csv", GOOD)
    else:
        path.write_bytes((gzip.compress if kind == "gz" else lzma.compress)(GOOD.encode()))
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 3, len(content) // 3 + 40):
        content[at] ^= 0xFF
    path.write_bytes(content)
    assert "damaged" in refused(path)


def test_a_truncated_parquet_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    path.write_bytes(b"PAR1" + bytes(200))
    assert "no parquet file" in refused(path)


def test_a_zip_of_two_tables_lists_them(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train.csv", GOOD)
        archive.writestr("test.csv", GOOD)
    message = refused(path)
    assert "train.csv" in message
    assert "test.csv" in message


def test_a_compressed_file_in_disguise_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(gzip.compress(GOOD.encode()))
    assert "mv " in refused(path)


def test_an_uncompressed_file_in_disguise_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "data.csv.gz"
    path.write_text(GOOD)
    assert "not a gz file" in refused(path)


def test_a_spreadsheet_is_sent_back_to_its_program(tmp_path: Path) -> None:
    path = tmp_path / "data.xlsx"
    path.write_bytes(b"PK\x03\x04rest")
    assert "CSV UTF-8" in refused(path)


@pytest.mark.parametrize("encoding", ["cp932", "euc-jp"])
def test_japanese_encodings_are_recognised_with_position(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "data.csv"
    start = "text,label\nplain words,a\n"
    path.write_bytes((start + "カードが届きません,b\nお金が足りない,a\n").encode(encoding))
    message = refused(path)
    assert f"byte {len(start)} " in message
    assert f"iconv -f {encoding} -t utf-8" in message


def test_the_wrong_byte_is_counted_from_the_start_of_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    start = b"text,label\n" + "日本語の文,a\n".encode() * 120_000
    path.write_bytes(start + b"caf\xe9 au lait,b\n")
    message = refused(path)
    assert f"byte {len(start) + 3} is 0xe9" in message
    assert "iconv -f cp1252" in message


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_the_count_holds_where_blocks_cut_through_a_character(tmp_path: Path, shift: int) -> None:
    path = tmp_path / "data.csv"
    start = b"text,label\n" + b"x" * shift + "\u65e5".encode() * 400_000
    path.write_bytes(start + b"\xff,b\n")
    assert f"byte {len(start)} is 0xff" in refused(path)


@pytest.mark.parametrize(
    ("encoding", "name"), [("utf-16", "utf-16"), ("utf-16le", "utf-16le"), ("utf-16be", "utf-16be")]
)
def test_utf_16_is_recognised(tmp_path: Path, encoding: str, name: str) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(GOOD.encode(encoding))
    assert f"iconv -f {name} -t utf-8" in refused(path)


def test_bytes_of_no_encoding_get_the_general_fix(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"text,label\n" + bytes(range(128, 256)) * 4)
    assert "iconv -f ENCODING" in refused(path)


def test_a_nul_byte_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(GOOD.replace("number 3,", "number \x003,").encode())
    message = refused(path)
    assert "line 5" in message
    assert "tr -d" in message


def test_an_escaped_nul_in_json_is_named_by_row(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "a b", "label": "x"}\n{"text": "a\\u0000b", "label": "y"}\n')
    assert "row 2" in refused(path)


def test_a_quote_that_never_closes_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(GOOD.replace("this is text number 7,", '"this is text number 7,'))
    message = refused(path)
    assert "line 9" in message
    assert "never closes" in message


def test_a_quote_that_closes_early_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(GOOD.replace("this is text number 7,", '"this" is text number 7,'))
    message = refused(path)
    assert "line 9" in message
    assert 'each " twice' in message


def test_ragged_rows_are_counted_and_named(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(GOOD.replace("number 7,", "number, 7,").replace("number 9,b", "number 9"))
    message = refused(path)
    assert "2 rows have another number of cells than the first row (2): line 9, 11" in message


def test_empty_cells_to_the_right_do_not_make_a_row_ragged(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(GOOD.replace("number 7,b", "number 7,b,,"))
    assert len(read_table(path).texts) == 400


def test_a_broken_json_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "a", "label": "x"}\n{"text": "b", "lab\n')
    assert "line 2 is not JSON" in refused(path)


def test_a_json_list_gets_the_line_that_converts_it(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('[\n{"text": "a", "label": "x"}\n]\n')
    assert "jq -c" in refused(path)


def test_json_lines_that_are_no_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('["a", "x"]\n')
    assert "line 1 is a list" in refused(path)


def test_a_megabyte_of_text_is_cut_and_noted(tmp_path: Path) -> None:
    path = table_of(tmp_path, [("word " * 200_000, "a"), ("short text", "b"), ("more text", "a")])
    table = read_table(path)
    assert len(table.texts[0]) == MAX_TEXT_CHARS
    assert table.notes == ["1 texts cut after 10,000 characters"]


def test_some_missing_texts_and_labels_are_skipped_and_counted(tmp_path: Path) -> None:
    pairs = [("good text", "a"), ("", "a"), ("NaN", "b"), ("  ", "a"), ("fine text", "nan")]
    table = read_table(table_of(tmp_path, pairs + [("other text", "b"), ("last text", "b")] * 3))
    assert table.row_ids == [0, 5, 6, 7, 8, 9, 10]
    assert table.notes == ["4 of 11 rows skipped: 3 without text, 1 without label"]


def test_mostly_missing_texts_are_refused(tmp_path: Path) -> None:
    path = table_of(tmp_path, [("", "a"), ("nan", "b")] * 4 + [("good text", "a")])
    assert "8 of 9 rows lack what is needed" in refused(path, text_column="text")


def test_one_label_is_refused(tmp_path: Path) -> None:
    path = table_of(tmp_path, [(f"text number {at}", "same") for at in range(9)])
    assert 'only one label: "same" (9)' in refused(path)


def test_ten_thousand_labels_are_refused_with_their_number(tmp_path: Path) -> None:
    path = table_of(tmp_path, [(f"text number {at}", f"case {at}") for at in range(10_000)])
    assert "10,000 different labels in 10,000 rows" in refused(path)


def test_ten_thousand_labels_are_seen_in_a_small_sample_too(tmp_path: Path) -> None:
    path = table_of(tmp_path, [(f"text number {at}", f"case {at}") for at in range(10_000)])
    with pytest.raises(DataError, match="10,000 different labels"):
        read_table(path, limit=100)


def test_a_label_column_of_fractions_is_refused(tmp_path: Path) -> None:
    path = table_of(tmp_path, [(f"text number {at}", f"{at / 7:.3f}") for at in range(60)])
    message = refused(path)
    assert "60 different numbers" in message
    assert "ranges" in message


def test_a_few_fractions_that_repeat_are_refused_too(tmp_path: Path) -> None:
    path = table_of(tmp_path, [(f"text number {at}", f"{at % 3}.5") for at in range(60)])
    assert "3 different numbers" in refused(path)


def test_whole_numbers_written_with_a_point_become_labels(tmp_path: Path) -> None:
    pairs = [(f"text number {at}", f"{at % 3}.0") for at in range(60)]
    table = read_table(table_of(tmp_path, pairs))
    assert set(table.labels) == {"0", "1", "2"}
    assert table.notes == ["labels written as 1.0 are taken as 1"]


def test_a_folder_without_classes_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    message = refused(tmp_path)
    assert "it holds empty" in message
    assert "LABEL/NAME.txt" in message


def test_a_folder_of_tables_points_at_the_training_table(tmp_path: Path) -> None:
    (tmp_path / "a_test.csv").write_text(GOOD)
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(GOOD.encode()))
    assert str(tmp_path / "train.csv.gz") in refused(tmp_path)


def test_a_folder_one_level_too_high_points_below(tmp_path: Path) -> None:
    (tmp_path / "train" / "spam").mkdir(parents=True)
    (tmp_path / "train" / "spam" / "1.txt").write_text("buy now")
    assert str(tmp_path / "train") in refused(tmp_path)
