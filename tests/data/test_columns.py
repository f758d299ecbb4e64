"""Header rows, text columns and label columns are found, or the error lists the choices."""

import csv
from pathlib import Path

import pytest

from sparsepath.data.tables import Table, read_table, read_test_table
from sparsepath.errors import DataError

SENTENCES = [
    "The card has not arrived yet",
    "I was charged twice for one purchase",
    "How do I change my secret number?",
    "Please close my account today",
    "Why was my payment declined?",
    "The machine kept my card",
    "Can I have a second card?",
    "My transfer is still pending",
]
TEAMS = ["cards", "billing", "cards", "accounts"] * 2


def read_rows(folder: Path, rows: list[list[str]], **options: str) -> Table:
    path = folder / "data.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return read_table(path, **options)


def pairs() -> list[list[str]]:
    return [[text, team] for text, team in zip(SENTENCES, TEAMS, strict=True)]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("text", "label"),
        ("Sentence", "Category"),
        ("ticket_text", "ticket_type"),
        ("customerMessage", "targetClass"),
        ("本文", "ラベル"),
        ("問い合わせ内容", "担当部署"),
        ("\uff54\uff45\uff58\uff54", "カテゴリー"),
    ],
)
def test_usual_names_are_recognised(tmp_path: Path, text: str, label: str) -> None:
    table = read_rows(tmp_path, [[label, text], *[row[::-1] for row in pairs()]])
    assert (table.text_column, table.label_column) == (text, label)
    assert table.texts == SENTENCES
    assert "by its name" in table.how_found


def test_unusual_names_are_recognised_by_what_is_below_them(tmp_path: Path) -> None:
    table = read_rows(tmp_path, [["foo", "bar"], *pairs()])
    assert (table.text_column, table.label_column) == ("foo", "bar")
    assert table.has_header
    assert "by its contents" in table.how_found


def test_a_table_without_header_loses_no_row(tmp_path: Path) -> None:
    table = read_rows(tmp_path, pairs())
    assert not table.has_header
    assert table.texts == SENTENCES
    assert (table.text_column, table.label_column) == ("column 1", "column 2")
    assert "no header row" in table.how_found


def test_a_table_without_header_and_with_numbers_as_labels_loses_no_row(tmp_path: Path) -> None:
    rows = [["1", text] for text in SENTENCES]
    rows[3][0] = rows[5][0] = "0"
    table = read_rows(tmp_path, rows)
    assert table.texts == SENTENCES
    assert table.label_column == "column 1"


def test_a_short_first_text_is_no_name_when_its_label_comes_up_again(tmp_path: Path) -> None:
    rows = [["refund", "cards"], *[[f"{text} Thank you.", team] for text, team in pairs()]]
    assert not read_rows(tmp_path, rows).has_header


def test_a_japanese_table_without_header_loses_no_row(tmp_path: Path) -> None:
    texts = ["赤信号で車を止めた", "青信号で車を止めた", "道にごみを捨てた", "道のごみを拾った"] * 2
    table = read_rows(tmp_path, [[text, str(at % 2)] for at, text in enumerate(texts)])
    assert table.texts == texts
    assert not table.has_header


def test_row_numbers_identifiers_dates_and_prices_are_not_chosen(tmp_path: Path) -> None:
    rows = [["", "customer id", "message", "created", "price", "desk"]]
    for at, (text, team) in enumerate(pairs()):
        day = f"2024-01-0{at % 3 + 1}"
        rows.append([str(at), f"customer number {at}", text, day, f"{at % 3}.5", team])
    table = read_rows(tmp_path, rows)
    assert (table.text_column, table.label_column) == ("message", "desk")


def test_the_longer_of_two_texts_is_chosen(tmp_path: Path) -> None:
    rows = [["title", "body", "label"]]
    rows += [[text, text * 2, team] for text, team in pairs()]
    assert read_rows(tmp_path, rows).text_column == "body"


def test_a_number_and_its_name_are_the_same_label(tmp_path: Path) -> None:
    numbers = {"cards": "0", "billing": "1", "accounts": "2"}
    rows = [["text", "label", "label_text"]]
    rows += [[text, numbers[team], team] for text, team in pairs()]
    assert read_rows(tmp_path, rows).label_column == "label_text"


def test_two_equal_texts_are_ambiguous_and_both_are_named(tmp_path: Path) -> None:
    rows = [["premise", "hypothesis", "label"]]
    rows += [[text, text[::-1], team] for text, team in pairs()]
    with pytest.raises(DataError, match=r'"premise"[\s\S]*"hypothesis"[\s\S]*--text-column'):
        read_rows(tmp_path, rows)


def test_two_labels_are_ambiguous_and_both_are_named(tmp_path: Path) -> None:
    rows = [["text", "foo", "bar"]]
    rows += [[text, team, "xy"[at % 2]] for at, (text, team) in enumerate(pairs())]
    with pytest.raises(DataError, match=r'"foo" \(3 values[\s\S]*"bar" \(2[\s\S]*--label-column'):
        read_rows(tmp_path, rows)


def test_the_user_may_choose_by_name_or_position(tmp_path: Path) -> None:
    rows = [["text", "other", "a", "b"]]
    rows += [[text, text[::-1], team, "xy"[at % 2]] for at, (text, team) in enumerate(pairs())]
    table = read_rows(tmp_path, rows, text_column="other", label_column="column 4")
    assert (table.text_column, table.label_column) == ("other", "b")
    assert "as asked" in table.how_found


def test_a_column_of_groups_is_read_and_never_taken_for_text_or_label(tmp_path: Path) -> None:
    rows = [["thread", "message", "team"]]
    rows += [[f"{text} and so on", text, team] for text, team in pairs()]
    table = read_rows(tmp_path, rows, group_column="thread")
    assert (table.text_column, table.label_column) == ("message", "team")
    assert (table.group_column, table.groups) == ("thread", [f"{t} and so on" for t in SENTENCES])
    assert 'group column "thread" (as asked)' in table.how_found
    assert read_rows(tmp_path, rows, text_column="message").groups is None


@pytest.mark.parametrize("column", ["text_column", "label_column"])
def test_a_column_of_groups_cannot_be_text_or_label(tmp_path: Path, column: str) -> None:
    with pytest.raises(DataError, match="asked for as"):
        read_rows(
            tmp_path,
            [["text", "label", "x"], *[[*row, "z"] for row in pairs()]],
            **{column: "label", "group_column": "label"},
        )


def test_a_chosen_name_in_the_first_row_proves_a_header(tmp_path: Path) -> None:
    rows = [["cards are what we talk about here", "cards"], *pairs()]
    table = read_rows(tmp_path, rows, text_column="cards are what we talk about here")
    assert table.texts == SENTENCES


def test_a_wrong_choice_is_answered_with_the_columns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'no column "txet"[\s\S]*did you mean "text"'):
        read_rows(tmp_path, [["text", "label"], *pairs()], text_column="txet")


def test_one_column_cannot_be_text_and_label(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="as text and as label"):
        read_rows(
            tmp_path, [["text", "label"], *pairs()], text_column="text", label_column="column 1"
        )


def test_columns_of_the_same_name_are_refused(tmp_path: Path) -> None:
    rows = [["text", "label", "label"], *[[*row, row[1]] for row in pairs()]]
    with pytest.raises(DataError, match='same name: "label"'):
        read_rows(tmp_path, rows)


def test_numbers_alone_have_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="looks like text"):
        read_rows(tmp_path, [["a", "b"], *[[str(at), str(at % 2)] for at in range(8)]])


def test_texts_alone_have_no_label(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="looks like a label"):
        read_rows(tmp_path, [["text"], *[[text] for text in SENTENCES]])


def test_a_test_table_must_have_the_columns_of_the_training_table(tmp_path: Path) -> None:
    table = read_rows(tmp_path, [["message", "team"], *pairs()])
    other = tmp_path / "test.csv"
    other.write_text("message,squad\nhello there,cards\nbye now,billing\n", encoding="utf-8")
    with pytest.raises(DataError, match=r'test\.csv has no column "team"'):
        read_test_table(other, like=table)


def test_a_test_table_may_have_one_label(tmp_path: Path) -> None:
    table = read_rows(tmp_path, [["message", "team"], *pairs()])
    other = tmp_path / "test.csv"
    other.write_text("team,message\ncards,hello there\ncards,bye now\n", encoding="utf-8")
    assert read_test_table(other, like=table).texts == ["hello there", "bye now"]
