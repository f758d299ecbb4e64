"""Sparse classifiers keep what they should, in every family, and stay sparse when saved."""

import copy
import json
from pathlib import Path

import pytest
import torch
from tests.models.conftest import random_classifier
from tests.models.test_save import _tokenizer_json
from torch import Tensor

from sparsepath.errors import ConfigError, ModelError, ShapeError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import encoder_layers, encoder_sites
from sparsepath.models.save import load_classifier, save_classifier
from sparsepath.models.surgery import extract
from sparsepath.models.topk_classifier import make_sparse, sparse_sites
from sparsepath.models.units import UnitMask
from sparsepath.nn.topk import TopK
from sparsepath.trace.gates import record

Inputs = dict[str, Tensor]


def by_hand(model: PathwayClassifier, inputs: Inputs, n_sparse: int, keeps: TopK) -> Tensor:
    """Give the logits with the neurons of the first layers kept by a hook written here."""
    handles = [
        site.mlp_out.register_forward_pre_hook(lambda _, args: (keeps(args[0]),))
        for site in encoder_sites(model.encoder).layers[:n_sparse]
    ]
    try:
        logits: Tensor = model(**inputs).logits
        return logits
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def test_neurons_are_kept_in_all_layers_but_the_last(
    model: PathwayClassifier, padded: Inputs
) -> None:
    sparse = make_sparse(model, {"mlp_hidden": 6})
    with record(sparse) as seen:
        logits = sparse(**padded).logits
    assert [int((x != 0).sum(-1).max()) for x in seen.mlp] == [6, 6, 24]
    assert torch.equal(logits, by_hand(model, padded, 2, TopK(24, 6)))
    assert not torch.allclose(logits, model(**padded).logits)


@torch.no_grad()
def test_what_leaves_a_layer_is_kept_by_value(model: PathwayClassifier, padded: Inputs) -> None:
    sparse = make_sparse(model, {"block_out": 0.25}, first_layer=2, n_dense_layers=0)
    outputs: list[Tensor] = []
    for layer in (encoder_layers(model.encoder)[2], sparse_sites(sparse)[0].topk):
        layer.register_forward_hook(lambda *args: outputs.append(args[-1]))
    model(**padded)
    sparse(**padded)
    dense_BTD, kept_BTD = outputs
    least = dense_BTD.topk(8, dim=-1).values[..., -1:]
    assert torch.equal(kept_BTD, dense_BTD * (dense_BTD >= least))


def test_shares_count_the_neurons_that_a_layer_has(make_model) -> None:
    mask = UnitMask.full(make_model("bert"))
    mask.neurons[0, 8:] = False
    cut = extract(make_model("bert"), mask)
    sites = sparse_sites(make_sparse(cut, {"mlp_hidden": 0.25}))
    assert [(s.topk.width, s.topk.k) for s in sites] == [(8, 2), (24, 6)]


@torch.no_grad()
def test_a_saved_sparse_model_never_runs_dense(
    model: PathwayClassifier, padded: Inputs, tmp_path: Path
) -> None:
    sparse = make_sparse(model, {"mlp_hidden": 6, "block_out": 10})
    save_classifier(tmp_path, sparse, _tokenizer_json(), card="")
    loaded = load_classifier(tmp_path).model
    assert torch.equal(loaded(**padded).logits, sparse(**padded).logits)
    kept = [(s.layer, s.site, s.topk.k) for s in sparse_sites(loaded)]
    assert kept == [(i, *site) for i in (0, 1) for site in (("mlp_hidden", 6), ("block_out", 10))]
    assert all(float(s.topk.fired.sum()) == 0 for s in sparse_sites(loaded))


@pytest.mark.parametrize(
    "setting",
    [
        {"attn_in": {"k": 4, "by": "value"}},
        {"mlp_hidden": {"k": 25, "by": "value"}},
        {"mlp_hidden": {"k": 0, "by": "value"}},
        {"block_out": {"k": 3, "by": "size"}},
    ],
)
def test_a_config_that_keeps_the_impossible_is_refused(
    make_model, tmp_path: Path, setting: dict[str, dict[str, int | str]]
) -> None:
    save_classifier(tmp_path, make_model("bert"), _tokenizer_json(), card="")
    config = json.loads((tmp_path / "config.json").read_text())
    config["layers"][0]["topk"] = setting
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="topk"):
        load_classifier(tmp_path)


@torch.no_grad()
def test_a_copy_has_its_own_k(make_model, inputs: Inputs) -> None:
    sparse = make_sparse(make_model("bert"), {"mlp_hidden": 6})
    ids = inputs["input_ids"].clamp_min(0)
    before = sparse(ids).logits
    twin = copy.deepcopy(sparse)
    sparse_sites(twin)[0].topk.set_k(1)
    assert torch.equal(sparse(ids).logits, before)
    assert not torch.equal(twin(ids).logits, before)


def test_the_vocabulary_of_a_sparse_model_can_be_cut_but_not_its_competing_neurons(
    make_model,
) -> None:
    sparse = make_sparse(make_model("bert"), {"mlp_hidden": 6})
    small = extract(sparse, UnitMask.full(sparse), vocabulary=torch.arange(40))
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        assert torch.equal(small(ids).logits, sparse(ids).logits)
    mask = UnitMask.full(sparse)
    mask.neurons[1, 3] = False
    with pytest.raises(ShapeError, match="layer 1 keeps its largest neurons"):
        extract(sparse, mask)


@pytest.mark.parametrize(
    ("sites", "message"),
    [
        ({"attn_out": 4}, "no site 'attn_out'"),
        ({}, "no site is named"),
        ({"mlp_hidden": 0}, "k = 0 at mlp_hidden"),
        ({"mlp_hidden": -3}, "k = -3"),
        ({"mlp_hidden": 1.0}, "k = 1.0"),
        ({"mlp_hidden": True}, "k = True"),
        ({"mlp_hidden": 24}, "no layer has more entries"),
    ],
)
def test_k_out_of_range_and_unknown_sites_are_refused(
    make_model, sites: dict[str, int | float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_sparse(make_model("bert"), sites)


@pytest.mark.parametrize(("first", "dense"), [(0, 3), (0, -1), (2, 1), (-1, 0)])
def test_no_layer_left_to_become_sparse_is_refused(make_model, first: int, dense: int) -> None:
    with pytest.raises(ConfigError, match="layers from"):
        make_sparse(make_model("bert"), {"block_out": 4}, first_layer=first, n_dense_layers=dense)


def test_a_sparse_model_is_not_made_sparse_again() -> None:
    sparse = make_sparse(random_classifier("bert"), {"block_out": 4})
    with pytest.raises(ModelError, match="sparse already"):
        make_sparse(sparse, {"block_out": 4})
