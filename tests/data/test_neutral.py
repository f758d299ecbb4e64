"""Ordinary texts are the same ones each time."""

from pathlib import Path

import pytest

from sparsepath.data.neutral import N_NEUTRAL, neutral_texts
from sparsepath.errors import DataError


def test_without_a_source_they_are_docstrings_of_many_files() -> None:
    texts = neutral_texts()
    assert texts == neutral_texts()
    assert N_NEUTRAL / 2 < len(texts) <= N_NEUTRAL
    assert len(set(texts)) > 0.9 * len(texts)
    assert len(neutral_texts(n=7)) <= 7


def test_of_a_source_they_are_its_first_documents(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("one two\n\nthree\n\nfour\n")
    assert [text.strip() for text in neutral_texts(str(path), 2)] == ["one two", "three"]
    path.write_text("\n")
    with pytest.raises(DataError, match="holds no text"):
        neutral_texts(str(path))
