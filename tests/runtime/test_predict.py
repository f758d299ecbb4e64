"""`predict_file` writes one line a row, whole or not at all."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.runtime.conftest import LABELS

from sparsepath.errors import DataError, ModelError, RunError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.runtime import predict as module
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.predict import predict_file

ROWS = ["my card is lost", "who sent, the money?", "", 'it came "back"', "カード\nカード"]


@pytest.fixture
def folder(make_folder: Callable[..., Path], bert: PathwayClassifier) -> Path:
    return make_folder("m", bert, ("fp32", "int8"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["number", "text"], *([str(i), t] for i, t in enumerate(ROWS))])
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_gets_a_label_and_its_probability(
    folder: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    done = predict_file(folder, table, tmp_path / "out.csv", text_column="text")
    want = load_engine(folder).predict(ROWS)
    lines = read(tmp_path / "out.csv")
    assert done.n_rows == len(lines) == len(ROWS)
    assert [line["row"] for line in lines] == ["0", "1", "2", "3", "4"]
    assert [line["label"] for line in lines] == [LABELS[i] for i in want.argmax(axis=1)]
    shares = [float(line["probability"]) for line in lines]
    np.testing.assert_allclose(shares, want.max(axis=1), atol=1e-5)
    assert done.text_column == "text"
    assert any("1 of 5" in note for note in done.notes)


def test_the_precision_that_is_asked_for_is_used(folder: Path, table: Path, tmp_path: Path) -> None:
    for precision in ("fp32", "int8"):
        predict_file(folder, table, tmp_path / f"{precision}.csv", precision=precision)
    exact, int8 = ((tmp_path / f"{name}.csv").read_text() for name in ("fp32", "int8"))
    assert exact != int8


def test_a_failure_leaves_the_old_result(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old\n")
    with pytest.raises(DataError):
        predict_file(folder, tmp_path / "nowhere.csv", out)
    assert out.read_text() == "old\n"


def test_a_folder_that_is_no_model_is_named(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model folder at"):
        predict_file(tmp_path / "nowhere", table, tmp_path / "out.csv")
    with pytest.raises(ModelError, match=r"no sparsepath.json in"):
        predict_file(tmp_path, table, tmp_path / "out.csv")


def test_a_place_that_cannot_be_written_is_named(folder: Path, table: Path) -> None:
    with pytest.raises(RunError, match="cannot be made"):
        predict_file(folder, table, table / "below" / "out.csv")
