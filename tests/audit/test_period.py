"""A report counts what is in its span of time, in two languages, and no cell becomes markup."""

from collections.abc import Iterator

import pytest

from sparsepath.audit import log
from sparsepath.audit.database import Database
from sparsepath.audit.log import append
from sparsepath.audit.period import Period, figures, read_period
from sparsepath.audit.period_page import period_page
from sparsepath.audit.period_words import WORDS
from sparsepath.audit.record import Draft

SCRIPT = "<script>alert(1)</script>"
MODEL = {"name": "light", "sha256": "a" * 64, "precision": "fp32"}


def decision(label: str, ms: float) -> Draft:
    facts = {"by": "key:1", "model": MODEL, "label": label, "probability": 0.5, "latency_ms": ms}
    return Draft(kind="decision", body=facts)


@pytest.fixture
def period(database: Database, monkeypatch: pytest.MonkeyPatch) -> Period:
    def days() -> Iterator[str]:
        for day in (1, 2, 4, 3, 5):
            yield f"2026-10-{day:02}T12:00:00.000000Z"

    times = days()
    monkeypatch.setattr(log, "now", lambda: next(times))
    append(database, [decision("early", 1.0)])
    append(database, [decision("a|b", float(ms)) for ms in range(100)])
    append(database, [decision(SCRIPT, 0.0), decision("lone \ud800", 0.0)])
    append(database, [Draft(kind="key.add", body={"key": "1", "name": SCRIPT, "by": "user:me"})])
    append(database, [decision("late", 1.0)])
    return read_period(database, "2026-10-02T12:00:00.000000Z", "2026-10-05T12:00:00.000000Z")


def test_figures_are_of_the_span_alone(period: Period) -> None:
    told = figures(period)
    assert (told["first"], told["last"], told["answers"]) == (2, 104, 102)
    assert told["days"] == {"2026-10-02": 100, "2026-10-04": 2}
    assert set(told["labels"]) == {"a|b", SCRIPT, "lone \ud800"}
    assert told["labels"]["a|b"] == {"n": 100, "probability": 0.5}
    assert told["clock_went_back"] == 1
    assert told["latency_ms_p50"] == 49.0
    assert told["latency_ms_p99"] == 98.0
    assert [event["kind"] for event in told["events"]] == ["key.add"]
    assert told["chain"]["records"] == 105
    assert told["chain"]["faults"] == []


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_a_page_has_every_part_and_no_markup_of_others(period: Period, lang: str) -> None:
    page = period_page(period, "log.db", lang=lang)  # type: ignore[arg-type]
    words = WORDS[lang]  # type: ignore[index]
    assert f'<html lang="{lang}">' in page
    assert page.count("<h2>") == 7
    for name in ("labels", "models", "askers", "days", "events", "chain", "p99"):
        assert words[name] in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "key.add" in page
    assert page.encode().decode() == page
    plain = period_page(period, "log.db", lang=lang, form="md")  # type: ignore[arg-type]
    assert "<script" not in plain
    assert r"| a\|b | 100 |" in plain


def test_an_empty_span_says_so(database: Database) -> None:
    empty = read_period(database, "2020", "2021", is_verified=False)
    page = period_page(empty, "log.db")
    assert WORDS["en"]["none"] in page
    assert WORDS["en"]["chain.unknown"] in page
    assert figures(empty)["latency_ms_p50"] is None


def test_both_languages_have_the_same_words() -> None:
    assert set(WORDS["en"]) == set(WORDS["ja"])
    for name, text in WORDS["en"].items():
        assert text.count("{") == WORDS["ja"][name].count("{"), name
