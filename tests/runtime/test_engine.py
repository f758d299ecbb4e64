"""Model folders answer as their torch model does; damaged ones say what to do."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.runtime.conftest import LABELS, MAX_LENGTH, TEXTS

from sparsepath.errors import ConfigError, ModelError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.save import load_classifier
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.manifest import MANIFEST
from sparsepath.runtime.single import SingleEngine

Make = Callable[..., Path]


@pytest.fixture
def folder(make_folder: Make, bert: PathwayClassifier) -> Path:
    return make_folder("m", bert, ("fp32", "int8"))


def torch_probabilities(folder: Path, texts: list[str]) -> np.ndarray:
    model, tokenizer = load_classifier(folder)
    tokenizer.enable_truncation(MAX_LENGTH)
    rows = [torch.tensor([tokenizer.encode(text).ids]) for text in texts]
    with torch.no_grad():
        return np.concatenate([model(input_ids=row).logits.softmax(-1).numpy() for row in rows])


def test_an_engine_gives_torchs_probabilities_in_the_order_of_the_texts(folder: Path) -> None:
    engine = load_engine(folder)
    got = engine.predict(TEXTS)
    assert engine.kind == "single"
    assert engine.labels == LABELS
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, torch_probabilities(folder, TEXTS), atol=1e-4)
    assert np.ptp(got, axis=0).max() > 0.01


@pytest.mark.parametrize("batch_size", [2, 4, 100])
def test_batches_give_what_single_texts_give(folder: Path, batch_size: int) -> None:
    engine = load_engine(folder)
    one_by_one = np.stack([engine.predict_one(text) for text in TEXTS])
    np.testing.assert_allclose(engine.predict(TEXTS, batch_size), one_by_one, atol=1e-5)


def test_logits_become_the_probabilities(folder: Path) -> None:
    engine = load_engine(folder)
    assert isinstance(engine, SingleEngine)
    logits = torch.tensor(engine.logits(TEXTS))
    np.testing.assert_allclose(logits.softmax(-1).numpy(), engine.predict(TEXTS), atol=1e-5)


def test_a_single_model_has_one_stage(folder: Path) -> None:
    engine = load_engine(folder)
    answers = engine.answer(TEXTS)
    assert engine.n_stages == 1
    assert answers.stages.tolist() == [0] * len(TEXTS)
    np.testing.assert_array_equal(engine.stage_probabilities(TEXTS)[0], answers.probabilities)


def test_no_texts_give_no_rows(folder: Path) -> None:
    assert load_engine(folder).predict([]).shape == (0, len(LABELS))


def test_the_int8_graph_is_used_when_asked_for(folder: Path) -> None:
    exact, int8 = load_engine(folder), load_engine(folder, precision="int8")
    drift = np.abs(exact.predict(TEXTS) - int8.predict(TEXTS)).max()
    assert 0 < drift < 0.2


def test_a_precision_that_is_not_there_is_named(make_folder: Make, bert: PathwayClassifier) -> None:
    folder = make_folder("m", bert)
    with pytest.raises(ModelError, match="has no int8 graph, only fp32"):
        load_engine(folder, precision="int8")


def test_threads_must_be_positive(folder: Path) -> None:
    with pytest.raises(ConfigError, match="0 threads"):
        load_engine(folder, threads=0)


def test_a_missing_graph_is_named(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"no model.onnx in(.|\n)*fix: copy"):
        load_engine(folder)


def test_a_missing_data_file_is_named(folder: Path) -> None:
    (folder / "model.onnx.data").unlink()
    with pytest.raises(ModelError, match=r"cannot be opened(.|\n)*\.onnx\.data"):
        load_engine(folder)


@pytest.mark.parametrize("suffix", ["", ".data"])
def test_a_truncated_graph_is_refused(folder: Path, suffix: str) -> None:
    path = folder / f"model.onnx{suffix}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelError, match=r"cannot be opened(.|\n)*fix: copy"):
        load_engine(folder)


@pytest.mark.parametrize("content", [b"", b"not a graph at all", b"\x08\x09"])
def test_a_file_that_is_no_graph_is_refused(folder: Path, content: bytes) -> None:
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(ModelError):
        load_engine(folder)


def test_a_missing_tokenizer_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer.json"):
        load_engine(folder)


def test_a_graph_of_other_labels_is_refused(folder: Path) -> None:
    path = folder / MANIFEST
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"labels": ["only", "two"]}))
    with pytest.raises(ModelError, match="not those of 2 labels"):
        load_engine(folder)


def test_a_graph_with_other_inputs_is_refused(folder: Path, tmp_path: Path) -> None:
    path = folder / MANIFEST
    content = json.loads(path.read_text())
    stages = {"kind": "early-exit", "stages": ["model.onnx", "model.onnx"], "thresholds": [0.5]}
    path.write_text(json.dumps(content | stages))
    with pytest.raises(ModelError, match="do not belong together"):
        load_engine(folder)
