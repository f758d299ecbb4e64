"""The int8 graph says nearly the same, is smaller, and exists for models of every shape."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.runtime.conftest import random_classifier
from tests.runtime.test_onnx_writer import batch, data_size, run
from transformers import PretrainedConfig

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.describe import describe
from sparsepath.runtime.onnx_writer import write_onnx
from sparsepath.runtime.quantize import write_int8_onnx


def test_int8_logits_stay_close_for_every_family(
    any_config: PretrainedConfig, tmp_path: Path
) -> None:
    model = random_classifier(any_config)
    weights = describe(model)
    write_onnx(weights, tmp_path / "exact.onnx")
    write_int8_onnx(weights, tmp_path / "int8.onnx")
    ids, mask = batch(model.encoder.config.pad_token_id)
    exact = run(tmp_path / "exact.onnx", input_ids=ids, attention_mask=mask)
    int8 = run(tmp_path / "int8.onnx", input_ids=ids, attention_mask=mask)
    drift = np.abs(exact - int8).mean()
    assert 0 < drift < 0.2 * np.abs(exact).mean()


def test_every_large_matrix_is_stored_in_8_bits(bert: PathwayClassifier, tmp_path: Path) -> None:
    weights = describe(bert)
    write_int8_onnx(weights, tmp_path / "int8.onnx")
    graph = onnx.load(tmp_path / "int8.onnx").graph
    matrices = [tensor for tensor in graph.initializer if np.prod(tensor.dims) >= 32 * 32]
    floats = {tensor.name for tensor in matrices if tensor.data_type == onnx.TensorProto.FLOAT}
    assert len(matrices) >= 1 + 4 * 3
    assert {name.rpartition("_")[0] for name in floats} <= {"positions"}


@pytest.mark.parametrize("n_layers", [0, 1])
def test_small_models_can_be_quantised(
    bert: PathwayClassifier, tmp_path: Path, n_layers: int
) -> None:
    weights = describe(bert)
    weights = replace(weights, layers=weights.layers[:n_layers])
    write_onnx(weights, tmp_path / "exact.onnx")
    write_int8_onnx(weights, tmp_path / "int8.onnx")
    assert data_size(tmp_path / "int8.onnx") < data_size(tmp_path / "exact.onnx")
    ids, mask = batch(0)
    logits = run(tmp_path / "int8.onnx", input_ids=ids, attention_mask=mask)
    want = run(tmp_path / "exact.onnx", input_ids=ids, attention_mask=mask)
    np.testing.assert_allclose(logits, want, atol=0.3)


def test_nothing_but_the_graph_is_left_behind(bert: PathwayClassifier, tmp_path: Path) -> None:
    write_int8_onnx(describe(bert), tmp_path / "int8.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["int8.onnx", "int8.onnx.data"]
