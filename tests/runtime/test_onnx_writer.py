"""A written graph computes what the torch model computes, for every family and every cut."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
import pytest
import torch
from tests.runtime.conftest import CONFIGS, random_classifier
from transformers import BertConfig, PretrainedConfig

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.describe import describe
from sparsepath.models.families import encoder_sites
from sparsepath.models.surgery import extract
from sparsepath.models.topk_classifier import make_sparse
from sparsepath.models.units import UnitMask
from sparsepath.models.weights import EncoderWeights
from sparsepath.runtime.onnx_writer import write_onnx, write_stage_onnx

TOLERANCE = 1e-4


def batch(pad_id: int, lengths: tuple[int, ...] = (20, 11, 1)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(4, 60, (len(lengths), max(lengths)), generator=generator)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return torch.where(mask.bool(), ids, pad_id), mask


def torch_logits(model: PathwayClassifier, ids: torch.Tensor, mask: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        logits: np.ndarray = model(input_ids=ids, attention_mask=mask).logits.numpy()
    return logits


def run(path: Path, output: str = "logits", **feeds: torch.Tensor | np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    arrays = {name: np.asarray(value) for name, value in feeds.items()}
    result: np.ndarray = session.run([output], arrays)[0]
    return result


def assert_same(model: PathwayClassifier, path: Path) -> None:
    ids, mask = batch(model.encoder.config.pad_token_id)
    want = torch_logits(model, ids, mask)
    got = run(path, input_ids=ids, attention_mask=mask)
    assert np.abs(want).max() > 0.1
    np.testing.assert_allclose(got, want, atol=TOLERANCE)
    row = run(path, input_ids=ids[:1], attention_mask=mask[:1])
    np.testing.assert_allclose(row, want[:1], atol=TOLERANCE)


def cut(model: PathwayClassifier, heads: list[list[int]], neurons: list[int]) -> PathwayClassifier:
    keep = UnitMask.full(model)
    kept_heads, kept_neurons = torch.zeros_like(keep.heads), torch.zeros_like(keep.neurons)
    for layer, (numbers, n_neurons) in enumerate(zip(heads, neurons, strict=True)):
        kept_heads[layer, numbers] = True
        kept_neurons[layer, :n_neurons] = True
    return extract(model, UnitMask(kept_heads, kept_neurons)).eval()


def test_a_whole_model_of_every_family_gives_torchs_logits(
    any_config: PretrainedConfig, tmp_path: Path
) -> None:
    model = random_classifier(any_config)
    write_onnx(describe(model), tmp_path / "m.onnx")
    assert_same(model, tmp_path / "m.onnx")


def test_layers_of_different_sizes_give_torchs_logits(
    any_config: PretrainedConfig, tmp_path: Path
) -> None:
    model = cut(random_classifier(any_config), [[0, 2], [3], [0, 1, 2]], [7, 40, 1])
    write_onnx(describe(model), tmp_path / "m.onnx")
    assert describe(model).shape == [(2, 7), (1, 40), (3, 1)]
    assert_same(model, tmp_path / "m.onnx")


def test_sublayers_without_units_give_torchs_logits(
    any_config: PretrainedConfig, tmp_path: Path
) -> None:
    model = cut(random_classifier(any_config), [[], [1], []], [5, 0, 9])
    write_onnx(describe(model), tmp_path / "m.onnx")
    assert describe(model).shape == [(0, 5), (1, 0), (0, 9)]
    assert_same(model, tmp_path / "m.onnx")


def test_a_model_whose_first_layers_are_gone_gives_torchs_logits(
    any_config: PretrainedConfig, tmp_path: Path
) -> None:
    model = cut(random_classifier(any_config), [[], [], [0, 1]], [0, 0, 6])
    write_onnx(describe(model), tmp_path / "m.onnx")
    assert describe(model).shape == [(2, 6)]
    assert_same(model, tmp_path / "m.onnx")


def test_a_model_without_layers_gives_torchs_logits(
    any_config: PretrainedConfig, tmp_path: Path
) -> None:
    model = cut(random_classifier(any_config), [[], [], []], [0, 0, 0])
    write_onnx(describe(model), tmp_path / "m.onnx")
    assert describe(model).shape == []
    assert_same(model, tmp_path / "m.onnx")


@pytest.mark.parametrize("by", ["value", "magnitude"])
def test_a_sparse_model_of_every_family_gives_torchs_logits(
    any_config: PretrainedConfig, by: Literal["value", "magnitude"], tmp_path: Path
) -> None:
    sites = {"mlp_hidden": 5, "block_out": 0.25}
    dense = random_classifier(any_config)
    model = make_sparse(dense, sites, n_dense_layers=0, by=dict.fromkeys(sites, by)).eval()
    write_onnx(describe(model), tmp_path / "m.onnx")
    assert_same(model, tmp_path / "m.onnx")
    ids, mask = batch(model.encoder.config.pad_token_id)
    gap = np.abs(torch_logits(model, ids, mask) - torch_logits(dense, ids, mask)).max()
    assert gap > 0.1


def test_of_equal_neurons_the_first_are_kept_in_a_graph_too(tmp_path: Path) -> None:
    settings = CONFIGS["bert"]().to_dict() | {"hidden_act": "relu"}
    model = random_classifier(BertConfig(**settings))
    with torch.no_grad():
        for layer in encoder_sites(model.encoder).layers:
            layer.mlp_in.weight[:] = layer.mlp_in.weight[:1]
            layer.mlp_in.bias[:] = layer.mlp_in.bias[:1] + 9.0
    sparse = make_sparse(model, {"mlp_hidden": 5}, n_dense_layers=0).eval()
    write_onnx(describe(sparse), tmp_path / "m.onnx")
    assert_same(sparse, tmp_path / "m.onnx")


def test_a_model_with_fewer_words_gives_torchs_logits(
    any_config: PretrainedConfig, tmp_path: Path
) -> None:
    parent = random_classifier(any_config)
    kept = torch.cat([torch.arange(4), torch.arange(10, 70)])
    model = extract(parent, UnitMask.full(parent), vocabulary=kept).eval()
    write_onnx(describe(model), tmp_path / "m.onnx")
    assert describe(model).words.shape == (64, 32)
    assert_same(model, tmp_path / "m.onnx")


def test_the_first_token_can_stand_for_the_text(tmp_path: Path) -> None:
    model = random_classifier(CONFIGS["bert"](), pooling="cls")
    write_onnx(describe(model), tmp_path / "m.onnx")
    assert_same(model, tmp_path / "m.onnx")


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu_new"])
def test_other_activations_give_torchs_logits(activation: str, tmp_path: Path) -> None:
    settings = CONFIGS["bert"]().to_dict() | {"hidden_act": activation}
    model = random_classifier(BertConfig(**settings))
    write_onnx(describe(model), tmp_path / "m.onnx")
    assert_same(model, tmp_path / "m.onnx")


def test_probabilities_are_the_softmax_of_the_logits(
    bert: PathwayClassifier, tmp_path: Path
) -> None:
    write_onnx(describe(bert), tmp_path / "m.onnx")
    ids, mask = batch(0)
    want = torch.tensor(torch_logits(bert, ids, mask)).softmax(-1).numpy()
    got = run(tmp_path / "m.onnx", "probabilities", input_ids=ids, attention_mask=mask)
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_packed_words_change_logits_little_and_shrink_the_file(
    bert: PathwayClassifier, tmp_path: Path
) -> None:
    weights = replace(describe(bert), layers=())
    write_onnx(weights, tmp_path / "exact.onnx")
    write_onnx(weights, tmp_path / "packed.onnx", packs_words=True)
    ids, mask = batch(0)
    exact = run(tmp_path / "exact.onnx", input_ids=ids, attention_mask=mask)
    packed = run(tmp_path / "packed.onnx", input_ids=ids, attention_mask=mask)
    drift = np.abs(exact - packed).max()
    assert 0 < drift < 0.02
    sizes = [data_size(tmp_path / name) for name in ("exact.onnx", "packed.onnx")]
    words = weights.words.nbytes
    assert sizes[0] - sizes[1] == pytest.approx(words * 3 / 4, rel=0.1)


def data_size(path: Path) -> int:
    return path.with_name(path.name + ".data").stat().st_size + path.stat().st_size


def stage_paths(weights: EncoderWeights, stops: list[int], folder: Path) -> list[Path]:
    paths = []
    starts = [0, *stops[:-1]]
    for number, (first, stop) in enumerate(zip(starts, stops, strict=True)):
        paths.append(folder / f"stage{number}.onnx")
        write_stage_onnx(
            weights,
            paths[-1],
            first=first,
            stop=stop,
            head=weights.classifier,
            takes_ids=number == 0,
        )
    return paths


def test_stages_in_turn_compute_what_the_whole_model_computes(
    any_config: PretrainedConfig, tmp_path: Path
) -> None:
    model = random_classifier(any_config)
    paths = stage_paths(describe(model), [0, 1, 3], tmp_path)
    ids, mask = batch(model.encoder.config.pad_token_id)
    hidden = run(paths[0], "hidden_out", input_ids=ids, attention_mask=mask)
    hidden = run(paths[1], "hidden_out", hidden=hidden, attention_mask=mask)
    got = run(paths[2], hidden=hidden, attention_mask=mask)
    np.testing.assert_allclose(got, torch_logits(model, ids, mask), atol=TOLERANCE)


def test_an_exit_gives_the_logits_of_the_model_that_ends_there(
    any_config: PretrainedConfig, tmp_path: Path
) -> None:
    model = random_classifier(any_config)
    weights = describe(model)
    stage_paths(weights, [2, 3], tmp_path)
    write_onnx(replace(weights, layers=weights.layers[:2]), tmp_path / "two.onnx")
    ids, mask = batch(model.encoder.config.pad_token_id)
    got = run(tmp_path / "stage0.onnx", input_ids=ids, attention_mask=mask)
    want = run(tmp_path / "two.onnx", input_ids=ids, attention_mask=mask)
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_a_graph_written_again_replaces_the_old_one(
    bert: PathwayClassifier, tmp_path: Path
) -> None:
    weights = describe(bert)
    write_onnx(weights, tmp_path / "m.onnx")
    write_onnx(replace(weights, layers=()), tmp_path / "m.onnx")
    assert data_size(tmp_path / "m.onnx") < weights.words.nbytes + 40_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"]
