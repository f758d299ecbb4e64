"""Classifiers of Hugging Face's own classes answer the same as sparsepath's, in every family."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.models.conftest import CONFIGS
from tests.models.test_save import _tokenizer_json
from transformers import (
    AutoModelForSequenceClassification,
    BertForMaskedLM,
    BertForTokenClassification,
    GPT2Config,
    PretrainedConfig,
    PreTrainedModel,
)

from sparsepath.errors import ModelError
from sparsepath.models.describe import describe
from sparsepath.models.fine_tuned import kind_of_model, read_fine_tuned
from sparsepath.models.save import load_classifier, save_classifier
from sparsepath.models.surgery import extract
from sparsepath.models.topk_classifier import make_sparse, sparse_copy
from sparsepath.models.units import UnitMask
from sparsepath.runtime.build import add_graphs
from sparsepath.runtime.engine import load_engine

TEXTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9"]


def _labelled(family: str) -> PretrainedConfig:
    """Configuration of a tiny classifier with three named labels."""
    config = CONFIGS[family]()
    config.id2label = {0: "card", 1: "money", 2: "app"}
    config.label2id = {"card": 0, "money": 1, "app": 2}
    return config


def _save(model: PreTrainedModel, folder: Path) -> Path:
    """Write a model with a tokenizer, and weights that are nothing near zero."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    model.eval().save_pretrained(folder)
    (folder / "tokenizer.json").write_text(_tokenizer_json(), encoding="utf-8")
    return folder


@pytest.fixture
def theirs(family: str, tmp_path: Path) -> PreTrainedModel:
    """A classifier of Hugging Face's own class, saved in `theirs`."""
    model = AutoModelForSequenceClassification.from_config(_labelled(family))
    _save(model, tmp_path / "theirs")
    return model


@torch.no_grad()
def test_it_answers_as_the_original(theirs: PreTrainedModel, padded, tmp_path: Path) -> None:
    found = read_fine_tuned(str(tmp_path / "theirs"))
    want = theirs(**padded).logits
    torch.testing.assert_close(found.model(**padded).logits, want, atol=2e-5, rtol=1e-5)
    assert found.labels == ["card", "money", "app"]
    assert kind_of_model(str(tmp_path / "theirs")) == "text-classification"


@torch.no_grad()
def test_its_head_is_saved_cut_and_copied_with_it(
    theirs: PreTrainedModel, padded, tmp_path: Path
) -> None:
    del theirs
    found = read_fine_tuned(str(tmp_path / "theirs"))
    want = found.model(**padded).logits
    save_classifier(tmp_path / "ours", found.model, _tokenizer_json(), card="")
    for loaded in (
        load_classifier(tmp_path / "ours").model,
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "ours"),
        extract(found.model, UnitMask.full(found.model)),
    ):
        torch.testing.assert_close(loaded(**padded).logits, want, atol=2e-5, rtol=1e-5)


def test_its_graph_gives_the_same_probabilities(theirs: PreTrainedModel, tmp_path: Path) -> None:
    del theirs
    found = read_fine_tuned(str(tmp_path / "theirs"))
    folder = tmp_path / "graph"
    save_classifier(folder, found.model, _tokenizer_json(), card="")
    pad_id = int(found.model.encoder.config.pad_token_id)
    add_graphs(folder, describe(found.model), labels=found.labels, pad_id=pad_id)
    tokenizer = load_classifier(folder).tokenizer
    want = []
    with torch.no_grad():
        for text in TEXTS:
            ids = torch.tensor([tokenizer.encode(text).ids])
            want.append(found.model(ids).logits[0].softmax(-1).numpy())
    np.testing.assert_allclose(load_engine(folder).predict(TEXTS), np.stack(want), atol=2e-5)


def test_a_sparse_copy_learns_without_its_parent(tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_config(_labelled("bert"))
    parent = read_fine_tuned(str(_save(model, tmp_path))).model
    twin = sparse_copy(parent, {"block_out": 4})
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert all(bool((p != 0).any()) for p in parent.classifier.parameters())
    assert bool((parent.head.get_parameter("dense.weight") != 0).any())


def _changed(**changes: object) -> Callable[[Path], None]:
    """Give a function that changes keys of config.json."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def _without(name: str) -> Callable[[Path], None]:
    """Give a function that takes a tensor out of the weights."""

    def take(folder: Path) -> None:
        path = folder / "model.safetensors"
        tensors = {key: value for key, value in load_file(path).items() if key != name}
        save_file(tensors, path, metadata={"format": "pt"})

    return take


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_changed(architectures=["BertForMaskedLM"]), "is BertForMaskedLM, no ForSequence"),
        (_changed(architectures=None), "is an encoder, no ForSequence"),
        (_changed(problem_type="regression"), "fine-tuned for regression"),
        (_changed(problem_type="multi_label_classification"), "fine-tuned for multi_label"),
        (_changed(id2label={"0": "a", "1": "a", "2": "b"}), "names 2 labels, the model has 3"),
        (_changed(id2label={"0": "a", "1": "b"}), "the model has 3"),
        (_changed(auto_map={"AutoModel": "x.Y"}), "brings custom code"),
        (_changed(model_type="gpt2"), "has architecture 'gpt2'"),
        (_without("bert.pooler.dense.weight"), r"has no bert\.pooler\.dense\.weight"),
        (_without("classifier.weight"), r"has no classifier\.weight"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer"),
    ],
)
def test_what_labels_no_texts_is_refused(
    damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    model = AutoModelForSequenceClassification.from_config(_labelled("bert"))
    _save(model, tmp_path)
    damage(tmp_path)
    with pytest.raises(ModelError, match=message):
        read_fine_tuned(str(tmp_path))


@pytest.mark.parametrize("kind", [BertForMaskedLM, BertForTokenClassification])
def test_other_heads_are_refused(kind: type[PreTrainedModel], tmp_path: Path) -> None:
    _save(kind(_labelled("bert")), tmp_path)
    with pytest.raises(ModelError, match="no ForSequenceClassification"):
        read_fine_tuned(str(tmp_path))


def test_one_number_is_no_label(tmp_path: Path) -> None:
    config = CONFIGS["bert"]()
    config.num_labels = 1
    _save(AutoModelForSequenceClassification.from_config(config), tmp_path)
    with pytest.raises(ModelError, match="gives one number"):
        read_fine_tuned(str(tmp_path))


def test_labels_without_names_get_those_of_transformers(tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_config(CONFIGS["distilbert"]())
    assert read_fine_tuned(str(_save(model, tmp_path))).labels == ["LABEL_0", "LABEL_1"]


def test_a_model_of_neither_kind_is_refused(tmp_path: Path) -> None:
    GPT2Config().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="has architecture 'gpt2'") as raised:
        kind_of_model(str(tmp_path))
    assert "llama" in raised.value.hint
    assert "modernbert" in raised.value.hint
    with pytest.raises(ModelError, match="there is no folder"):
        kind_of_model(str(tmp_path / "no" / "where" / "at all"))
    with pytest.raises(ModelError, match="is a file"):
        kind_of_model(str(tmp_path / "config.json"))


def test_a_sparse_classifier_is_refused(make_model, tmp_path: Path) -> None:
    sparse = make_sparse(make_model("bert"), {"block_out": 4})
    save_classifier(tmp_path, sparse, _tokenizer_json(), card="")
    with pytest.raises(ModelError, match="keeps its largest entries already"):
        read_fine_tuned(str(tmp_path))
