"""An exported model runs where sparsepath is not installed."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.runtime.conftest import LABELS, TEXTS
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from sparsepath.errors import ConfigError, ModelError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.runtime.build import save_cascade
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.export import export_model
from sparsepath.runtime.manifest import MANIFEST

ABSENT = ["sparsepath", "torch", "transformers", "onnx", "safetensors", "pydantic"]


@pytest.fixture
def folder(make_folder: Callable[..., Path], bert: PathwayClassifier) -> Path:
    return make_folder("m", bert, ("fp32", "int8"))


def test_the_lines_in_the_readme_run_with_onnxruntime_alone(folder: Path, tmp_path: Path) -> None:
    out = export_model(folder, to="onnx", out=tmp_path / "out")
    want = load_engine(folder).predict_one("a text")
    code = re.search(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)
    assert code is not None
    shutil.rmtree(folder)
    blocked = f"import sys; sys.modules.update(dict.fromkeys({ABSENT!r}))\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", blocked + code[1]],
        cwd=out,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    label, probability = done.stdout.split()
    assert label == LABELS[int(want.argmax())]
    assert float(probability) == pytest.approx(float(want.max()), abs=1e-5)


def test_an_onnx_copy_holds_what_runs_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    out = export_model(folder, to="onnx", out=tmp_path / "out")
    names = {"model.onnx", "model.onnx.data", "model.int8.onnx", "model.int8.onnx.data"}
    assert {path.name for path in out.iterdir()} == names | {
        MANIFEST,
        "tokenizer.json",
        "README.md",
    }
    for precision in ("fp32", "int8"):
        got = load_engine(out, precision=precision).predict(TEXTS)
        np.testing.assert_array_equal(got, load_engine(folder, precision=precision).predict(TEXTS))


def test_an_exported_cascade_brings_its_stages(folder: Path, tmp_path: Path) -> None:
    light = tmp_path / "light"
    shutil.copytree(folder, light)
    save_cascade(tmp_path / "both", [light, folder], [0.99])
    want = load_engine(tmp_path / "both").answer(TEXTS)
    out = export_model(tmp_path / "both", to="onnx", out=tmp_path / "elsewhere" / "out")
    for path in (light, folder, tmp_path / "both"):
        shutil.rmtree(path)
    assert sorted(path.name for path in out.iterdir()) == ["0-light", "1-m", MANIFEST]
    got = load_engine(out).answer(TEXTS)
    np.testing.assert_array_equal(got.probabilities, want.probabilities)
    np.testing.assert_array_equal(got.stages, want.stages)


def test_a_folder_without_graphs_gets_them(folder: Path, tmp_path: Path) -> None:
    want = load_engine(folder).predict(TEXTS)
    for path in [folder / MANIFEST, *folder.glob("*.onnx*")]:
        path.unlink()
    out = export_model(folder, to="onnx", out=tmp_path / "out")
    np.testing.assert_allclose(load_engine(out).predict(TEXTS), want, atol=1e-6)


def test_a_hugging_face_copy_loads_with_transformers(folder: Path, tmp_path: Path) -> None:
    out = export_model(folder, to="hf", out=tmp_path / "out")
    assert not list(out.glob("*.onnx*"))
    model = AutoModelForSequenceClassification.from_pretrained(out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    with torch.no_grad():
        logits = model(**tokenizer(TEXTS[0], return_tensors="pt")).logits
    want = load_engine(folder).predict_one(TEXTS[0])
    np.testing.assert_allclose(logits.softmax(-1).numpy()[0], want, atol=1e-5)


def test_a_folder_that_is_taken_is_not_touched(folder: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("keep")
    with pytest.raises(ConfigError, match="is already there"):
        export_model(folder, to="onnx", out=taken)
    assert (taken / "mine.txt").read_text() == "keep"


def test_an_unknown_format_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown format 'pickle'"):
        export_model(folder, to="pickle", out=tmp_path / "out")


def test_a_damaged_model_leaves_no_copy(folder: Path, tmp_path: Path) -> None:
    (folder / "model.onnx.data").unlink()
    with pytest.raises(ModelError, match="cannot be opened"):
        export_model(folder, to="onnx", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_cascade_has_no_hugging_face_form(folder: Path, tmp_path: Path) -> None:
    light = tmp_path / "light"
    shutil.copytree(folder, light)
    save_cascade(tmp_path / "both", [light, folder], [0.9])
    with pytest.raises(ModelError, match="export its stages one by one"):
        export_model(tmp_path / "both", to="hf", out=tmp_path / "out")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    for form in ("onnx", "hf"):
        with pytest.raises(ModelError, match=r"config\.json"):
            export_model(tmp_path / "m", to=form, out=tmp_path / "out")
