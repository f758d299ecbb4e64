"""A run folder stands for its recommended model; anything else is said plainly."""

import json
from pathlib import Path

import pytest

from sparsepath.errors import ModelError, RunError
from sparsepath.runtime.locate import locate, locate_model

COST = {
    "parameters": 1,
    "size_bytes": 1,
    "latency_ms_p50": 1.0,
    "latency_ms_p95": 1.0,
    "examples_per_second": 1.0,
}
QUALITY = {"accuracy": 0.5, "accuracy_ci95": [0.4, 0.6], "macro_f1": 0.5}
RELATIVE = {"speedup": 1.0, "speedup_ci95": [1.0, 1.0], "size_ratio": 1.0, "accuracy_change": 0.0}


def run_folder(
    path: Path, folder: str | None, recommended: str | None = "light", precision: str = "fp32"
) -> Path:
    candidate = {
        "name": "light",
        "kind": "submodel",
        "folder": folder,
        "precision": precision,
        "quality": QUALITY,
        "cost": COST,
        "relative": RELATIVE,
    }
    data = {"rows_train": 1, "rows_valid": 1, "rows_test": 1, "labels": ["a"], "sha256": "0"}
    chosen = {"name": recommended, "rule": "r", "why": "w"} if recommended else None
    results = {"schema": 1, "data": data, "candidates": [candidate], "recommended": chosen}
    (path / "models" / "light").mkdir(parents=True)
    (path / "results.json").write_text(json.dumps(results))
    return path


def test_a_run_folder_stands_for_its_recommended_model(tmp_path: Path) -> None:
    run = run_folder(tmp_path, "models/light")
    assert locate_model(run) == (run / "models" / "light").resolve()


def test_the_recommended_precision_comes_with_the_folder(tmp_path: Path) -> None:
    assert locate(run_folder(tmp_path, "models/light", precision="int8")).precision == "int8"
    assert locate(tmp_path / "models" / "light").precision == "fp32"


def test_a_model_folder_stands_for_itself(tmp_path: Path) -> None:
    assert locate_model(tmp_path) == tmp_path


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model folder"):
        locate_model(tmp_path / "nothing")


@pytest.mark.parametrize(("folder", "name"), [("models/light", None), (None, "light")])
def test_a_run_without_a_recommended_model_names_what_there_is(
    tmp_path: Path, folder: str | None, name: str | None
) -> None:
    with pytest.raises(ModelError, match=folder or "none yet"):
        locate_model(run_folder(tmp_path, folder, name))


def test_a_run_that_points_outside_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="leads outside"):
        locate_model(run_folder(tmp_path / "run", "../elsewhere"))
