"""Every answer of a run is kept whole, or the file says what is wrong with it."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from sparsepath.artifacts.answers import ANSWERS_FILE, AnsweredRow, Answers, write_answers
from sparsepath.errors import RunError

ROWS = [AnsweredRow(5, "カード \0 x"), AnsweredRow(7, ""), AnsweredRow(9, "lone \ud800")]
TRUTH = np.array([1, 0, 2])
P = np.array([[0.1, 0.7, 0.2], [0.4, 0.4, 0.2], [0.0, 0.0, 1.0]])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / ANSWERS_FILE
    write_answers(path, ["a", "b", "c"], ROWS, TRUTH, {"full": P, "light": P[::-1]})
    return path


def test_answers_and_texts_come_back(path: Path) -> None:
    with Answers(path) as answers:
        assert (answers.labels, answers.candidates) == (["a", "b", "c"], ["full", "light"])
        assert answers.truth.tolist() == [1, 0, 2]
        assert answers.lengths.tolist() == [7, 0, 6]
        full = answers.of("full")
        assert full.labels.tolist() == [1, 0, 2]  # of equal ones the first, as accuracy is counted
        np.testing.assert_allclose(full.probabilities, [0.7, 0.4, 1.0], atol=1e-6)
        assert answers.rows([2, 0]) == [AnsweredRow(9, "lone ?"), ROWS[0]]
        with pytest.raises(RunError, match="no answers of that candidate"):
            answers.of("other")


def test_a_new_file_takes_the_place_of_the_old_one_whole(path: Path) -> None:
    write_answers(path, ["a", "b"], ROWS[:1], TRUTH[:1], {"full": P[:1]})
    with Answers(path) as answers:
        assert len(answers.truth) == 1
    assert [item.name for item in path.parent.iterdir()] == [ANSWERS_FILE]


@pytest.mark.parametrize("content", [b"", b"nothing of this kind" * 99])
def test_another_file_is_refused_with_what_helps(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(RunError, match="fix: run the same"):
        Answers(path)


def test_a_newer_version_and_a_missing_file_are_refused(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 2")
    database.close()
    with pytest.raises(RunError, match="another program or version"):
        Answers(path)
    path.unlink()
    with pytest.raises(RunError, match=r"no answers\.sqlite"):
        Answers(path)
    assert not path.exists()
