"""`sparsepath explain` on small models: terminal, JSON, page, and which model is looked into."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from sparsepath.cli.main import main
from sparsepath.models.describe import describe
from sparsepath.models.save import load_classifier
from sparsepath.models.weights import Affine
from sparsepath.pathways.means import MEANS_FILE
from sparsepath.runtime.build import Exit, save_cascade, save_early_exit
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.export import export_model

TEXT = "a very good day"
COSTS = (
    "parameters",
    "size_bytes",
    "latency_ms_p50",
    "latency_ms_p95",
    "examples_per_second",
)


def explain(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["explain", *(str(word) for word in words)])


@pytest.fixture
def copy(model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the small model that a test may change."""
    return Path(shutil.copytree(model_folder, tmp_path / "models" / "copy"))


def test_the_terminal_shows_answer_words_units_and_test(model_folder: Path) -> None:
    result = explain(model_folder, TEXT)
    assert result.exit_code == 0, result.output
    engine = load_engine(model_folder)
    answer = engine.labels[engine.predict([TEXT])[0].argmax()]
    assert answer in result.stdout
    assert "good" in result.stdout
    assert "L0" in result.stdout
    assert str(model_folder) in result.stderr


def test_json_holds_names_not_positions(model_folder: Path) -> None:
    result = explain(model_folder, TEXT, "--json")
    found = json.loads(result.stdout)
    probabilities = load_engine(model_folder).predict([TEXT])[0]
    assert found["probability"] == pytest.approx(float(probabilities.max()), abs=1e-4)
    words = [token["text"] for token in found["tokens"] if not token["is_special"]]
    assert words == TEXT.split()
    assert len(found["test"]["random_margin_kept"]) == 20
    assert set(found["units"][0]) == {"name", "score"}


def test_the_same_text_gives_the_same_explanation(model_folder: Path) -> None:
    first, second = (explain(model_folder, TEXT, "--json").stdout for _ in range(2))
    assert first == second


def test_target_and_against_turn_the_question_around(model_folder: Path) -> None:
    words = ("--target", "left", "--against", "right", "--json")
    forth = json.loads(explain(model_folder, TEXT, *words).stdout)
    words = ("--target", "right", "--against", "left", "--json")
    back = json.loads(explain(model_folder, TEXT, *words).stdout)
    assert forth["margin"] == pytest.approx(-back["margin"], abs=1e-5)


def test_an_unknown_label_is_answered_with_the_known_ones(model_folder: Path) -> None:
    result = explain(model_folder, TEXT, "--target", "middle")
    assert result.exit_code == 1
    assert "left, right" in result.stderr


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_page_stands_alone(model_folder: Path, tmp_path: Path, lang: str) -> None:
    page = tmp_path / "page.html"
    result = explain(model_folder, TEXT, "--html", page, "--lang", lang)
    assert result.exit_code == 0, result.output
    text = page.read_text(encoding="utf-8")
    assert f'lang="{lang}"' in text
    assert "http" not in text


@pytest.mark.parametrize(("threshold", "answers"), [(0.0, "light"), (1.0, "heavy")])
def test_a_cascade_is_explained_by_the_stage_that_answers(
    copy: Path, threshold: float, answers: str
) -> None:
    stages = [copy.rename(copy.with_name("light")), copy.with_name("heavy")]
    shutil.copytree(stages[0], stages[1])
    cascade = copy.with_name("cascade")
    save_cascade(cascade, stages, [threshold])
    result = explain(cascade, TEXT)
    assert result.exit_code == 0, result.output
    assert result.stderr.strip().endswith(answers)


def early_exit(model: Path) -> Path:
    """An early exit made from a model, beside it."""
    folder = model.with_name("exits")
    head = Affine(weight=np.zeros((32, 2), np.float32), bias=np.zeros(2, np.float32))
    weights = describe(load_classifier(model).model)
    save_early_exit(folder, weights, [Exit(after=1, head=head)], [], labels=["a", "b"], pad_id=0)
    return folder


def test_an_early_exit_is_explained_by_the_model_it_was_made_from(copy: Path) -> None:
    folder, run = early_exit(copy), copy.parents[1]
    measured = {
        "quality": {"accuracy": 0.5, "accuracy_ci95": [0.4, 0.6], "macro_f1": 0.5},
        "cost": dict.fromkeys(COSTS, 1),
        "relative": {"speedup": 1, "speedup_ci95": [1, 1], "size_ratio": 1, "accuracy_change": 0},
    }
    candidates = [
        {"name": "copy", "kind": "full", "folder": "models/copy", **measured},
        {
            "name": "exits",
            "kind": "dynamic",
            "folder": "models/exits",
            "parent": "copy",
            **measured,
        },
    ]
    data = {"rows_train": 1, "rows_valid": 1, "rows_test": 1, "labels": ["a", "b"], "sha256": "0"}
    chosen = {"name": "exits", "rule": "r", "why": "w"}
    results = {"schema": 1, "data": data, "candidates": candidates, "recommended": chosen}
    (run / "results.json").write_text(json.dumps(results))
    for asked in (folder, run):
        result = explain(asked, TEXT)
        assert result.exit_code == 0, result.output
        assert result.stderr.strip().endswith("copy")


def test_an_early_exit_outside_a_run_is_refused(copy: Path) -> None:
    result = explain(early_exit(copy), TEXT)
    assert result.exit_code == 1
    assert "no units of its own" in result.stderr


def test_graphs_without_weights_are_refused(model_folder: Path, tmp_path: Path) -> None:
    exported = export_model(model_folder, to="onnx", out=tmp_path / "graphs")
    result = explain(exported, TEXT)
    assert result.exit_code == 1
    assert "holds no weights" in result.stderr


def test_a_model_without_means_is_refused(copy: Path) -> None:
    (copy / MEANS_FILE).unlink()
    result = explain(copy, TEXT)
    assert result.exit_code == 1
    assert MEANS_FILE in result.stderr


def test_damaged_means_are_refused(copy: Path) -> None:
    (copy / MEANS_FILE).write_bytes(b"nothing")
    result = explain(copy, TEXT)
    assert result.exit_code == 1
    assert "cannot be read" in result.stderr


def test_a_text_without_words_is_refused(model_folder: Path) -> None:
    result = explain(model_folder, "   ")
    assert result.exit_code == 1
    assert "no words" in result.stderr
