"""Both languages say the same things, each with its own numbers and dates."""

import re

import pytest

from sparsepath.errors import ConfigError
from sparsepath.report.language import words

EN, JA = words("en"), words("ja")
SAME = {
    "column.picture", "machine.python", "group.topk", "table.p95", "unit.many.man", "unit.many.oku",
    "unit.many.g", "unit.many.m", "units.agree",
}  # fmt: skip


def blanks(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_both_tables_have_the_same_keys() -> None:
    assert EN.table.keys() == JA.table.keys()


@pytest.mark.parametrize("key", sorted(EN.table))
def test_a_text_has_the_same_blanks_in_both_languages(key: str) -> None:
    if not key.startswith(("unit.date", "plotly.")):
        assert blanks(EN.table[key]) == blanks(JA.table[key])
    assert EN.table[key].count("*") % 2 == 0
    assert JA.table[key].count("*") % 2 == 0


@pytest.mark.parametrize("key", sorted(set(JA.table) - SAME))
def test_every_japanese_text_is_japanese(key: str) -> None:
    text = JA.table[key].split("|")[-1]
    assert re.search(r"[\u3001-\u30ff\u4e00-\u9fff\uff00-\uffef]", text), text


@pytest.mark.parametrize(
    ("english", "japanese", "method", "value"),
    [
        ("21 November 2026", "2026年11月21日", "date", "2026-11-21T09:30:00Z"),
        ("12,345", "12,345", "integer", 12345),
        ("93.1%", "93.1%", "percent", 0.9312),
        ("\u22120.4\xa0points", "\u22120.4\xa0ポイント", "points", -0.0042),
        ("0.0\xa0points", "0.0\xa0ポイント", "points", -0.0002),
        ("0.021\xa0ms", "0.021\xa0ミリ秒", "milliseconds", 0.0212),
        ("22.7\xa0million", "2,270\xa0万", "many", 22_700_000),
        ("1.3\xa0billion", "13.0\xa0億", "many", 1.3e9),
        ("13 min 26 s", "13\xa0分\xa026\xa0秒", "duration", 806.2),
        ("2 h 5 min", "2\xa0時間\xa05\xa0分", "duration", 7500),
        ("90.9 MB", "90.9 MB", "size", 90_900_000),
        ("6.2×", "6.2\xa0倍", "times", 6.203),
        ("p < 0.001", "p < 0.001", "p_value", 1e-9),
    ],
)
def test_values_are_written_as_each_language_does(
    english: str, japanese: str, method: str, value: object
) -> None:
    assert getattr(EN, method)(value) == english
    assert getattr(JA, method)(value) == japanese


def test_a_time_that_is_none_stays_as_it_is() -> None:
    assert EN.date("yesterday") == "yesterday"


def test_another_language_is_refused() -> None:
    with pytest.raises(ConfigError, match="'fr'"):
        words("fr")
