"""The built-in data is real, large enough, fixed in order, and has eleven areas."""

from collections import Counter

import pytest

from sparsepath.data import stdlib_docs
from sparsepath.data.stdlib_docs import MAX_DOC_CHARS, load_stdlib_docs
from sparsepath.data.tables import Table
from sparsepath.errors import DataError


@pytest.fixture(scope="module")
def table() -> Table:
    return load_stdlib_docs()


def test_there_are_thousands_of_rows_in_eleven_areas(table: Table) -> None:
    counts = Counter(table.labels)
    assert 4_500 <= len(table.texts) <= 9_000
    assert len(counts) == 11
    assert min(counts.values()) >= 100


def test_texts_are_short_and_on_one_line(table: Table) -> None:
    assert all(30 <= len(text) <= MAX_DOC_CHARS and "\n" not in text for text in table.texts)


@pytest.mark.parametrize(
    ("start", "area"),
    [
        ("Return a random element from the population", "numbers"),
        ("Basic statistics module.", "numbers"),
        ("Object-oriented filesystem paths.", "files"),
        ("Thread module emulating a subset of Java's threading model.", "concurrency"),
        ("HTTP/1.1 client library", "network"),
    ],
)
def test_docstrings_are_in_the_area_of_their_module(table: Table, start: str, area: str) -> None:
    areas = {
        label
        for text, label in zip(table.texts, table.labels, strict=True)
        if text.startswith(start)
    }
    assert areas in ({area}, set())  # docstrings change between versions of Python


def test_most_of_the_known_docstrings_are_there(table: Table) -> None:
    texts = "\n".join(table.texts)
    assert "Basic statistics module." in texts
    assert "HTTP/1.1 client library" in texts


def test_the_order_is_fixed(table: Table) -> None:
    assert load_stdlib_docs().sha256 == table.sha256


def test_a_python_without_sources_says_so(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdlib_docs.sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    with pytest.raises(DataError, match="hardly any library sources"):
        load_stdlib_docs()
