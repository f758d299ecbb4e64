"""`sparsepath predict` and `sparsepath export` on a small model: files, talk, errors."""

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sparsepath.cli.main import main
from sparsepath.runtime.engine import load_engine

TEXTS = ["a good day", "a very bad day", "poor", "fine fine"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "texts.csv"
    path.write_text("text\n" + "\n".join(TEXTS) + "\n")
    return path


def sparsepath(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_a_prediction_is_the_engines_label_and_probability(
    model_folder: Path, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    result = sparsepath("predict", model_folder, table, "-o", out)
    assert result.exit_code == 0, result.output
    assert str(out) in result.stdout
    assert "text column: text" in result.stderr
    engine = load_engine(model_folder)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    probabilities = engine.predict(TEXTS)
    assert [row["label"] for row in rows] == [engine.labels[p.argmax()] for p in probabilities]
    for row, p in zip(rows, probabilities, strict=True):
        assert float(row["probability"]) == pytest.approx(float(p.max()), abs=1e-5)


def test_a_prediction_in_int8_says_so(model_folder: Path, table: Path, tmp_path: Path) -> None:
    words = ("predict", model_folder, table, "-o", tmp_path / "out.csv", "--precision", "int8")
    result = sparsepath(*words)
    assert result.exit_code == 0, result.output
    assert "(int8)" in result.stderr


def test_a_missing_table_is_an_error_and_writes_nothing(model_folder: Path, tmp_path: Path) -> None:
    result = sparsepath("predict", model_folder, tmp_path / "no.csv", "-o", tmp_path / "out.csv")
    assert result.exit_code == 1
    assert "no.csv" in result.stderr
    assert "  fix: " in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_missing_model_is_an_error(table: Path, tmp_path: Path) -> None:
    result = sparsepath("predict", tmp_path / "nothing", table, "-o", tmp_path / "out.csv")
    assert result.exit_code == 1
    assert "no model folder" in result.stderr


@pytest.mark.parametrize(("target", "file"), [("onnx", "model.onnx"), ("hf", "model.safetensors")])
def test_an_export_holds_what_the_other_program_reads(
    model_folder: Path, tmp_path: Path, target: str, file: str
) -> None:
    out = tmp_path / "copy"
    result = sparsepath("export", model_folder, "--to", target, "-o", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(out)
    assert (out / file).is_file()
    assert (out / "tokenizer.json").is_file()


def test_an_export_predicts_what_the_model_predicts(
    model_folder: Path, table: Path, tmp_path: Path
) -> None:
    sparsepath("export", model_folder, "--to", "onnx", "-o", tmp_path / "copy")
    for name, model in (("a.csv", model_folder), ("b.csv", tmp_path / "copy")):
        assert sparsepath("predict", model, table, "-o", tmp_path / name).exit_code == 0
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()


def test_an_export_over_something_is_refused(model_folder: Path, table: Path) -> None:
    result = sparsepath("export", model_folder, "--to", "onnx", "-o", table.parent)
    assert result.exit_code == 1
    assert table.read_text().startswith("text")
