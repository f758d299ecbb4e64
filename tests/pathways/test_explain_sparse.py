"""Neurons of a sparse model explain its answers: exactly where that is possible, tested always."""

import html
import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tests.pathways.conftest import random_classifier, rows
from tokenizers import Tokenizer

from sparsepath.artifacts.neurons import NeuronsFile
from sparsepath.errors import ModelError, RunError
from sparsepath.models.classifier import Head, PathwayClassifier
from sparsepath.models.topk_classifier import make_sparse
from sparsepath.pathways.explain import Explanation, explain_text
from sparsepath.pathways.explain_render import explanation_html, print_explanation
from sparsepath.pathways.explain_words import WORDS, Lang
from sparsepath.pathways.neurons import Texts, load_neurons, save_neurons, study_neurons
from sparsepath.trace.sparse import record_sparse

TEXT = "w10 key2 w20 w30 w11"
ENCODED, LABELS = rows(48, seed=6)


def studied(model: PathwayClassifier, tokenizer: Tokenizer) -> NeuronsFile:
    names = [f"label {label}" for label in LABELS]
    texts = [" ".join(tokenizer.id_to_token(i) or "?" for i in row) for row in ENCODED]
    return study_neurons(
        model, tokenizer, Texts(texts, ENCODED, names, [100 + i for i in range(48)]), pad_id=0
    )


def explained(
    model: PathwayClassifier, tokenizer: Tokenizer, neurons: NeuronsFile | None, **given: str
) -> Explanation:
    generator = torch.Generator().manual_seed(0)
    return explain_text(
        model,
        tokenizer,
        TEXT,
        means=None,
        neurons=neurons,
        generator=generator,
        target=given.get("target"),
        against=given.get("against"),
    )


@pytest.fixture(scope="module")
def last(trained: PathwayClassifier) -> PathwayClassifier:
    """The trained model, 8 of 32 entries kept after its last layer."""
    return make_sparse(trained, {"block_out": 8}, first_layer=2, n_dense_layers=0).eval()


@pytest.fixture(scope="module")
def neurons(last: PathwayClassifier, tokenizer: Tokenizer) -> NeuronsFile:
    """What its neurons stand for."""
    return studied(last, tokenizer)


def test_scores_after_the_last_layer_are_exact_shares_of_the_margin(
    last: PathwayClassifier, tokenizer: Tokenizer, neurons: NeuronsFile
) -> None:
    found = explained(last, tokenizer, neurons, target="label 2", against="label 1")
    assert found.is_exact
    with torch.no_grad(), record_sparse(last) as values:
        last(torch.tensor([tokenizer.encode(TEXT).ids]))
    weight = (last.classifier.weight[2] - last.classifier.weight[1]).detach()
    bias = last.classifier.bias.detach()
    means = torch.tensor([neuron.mean for neuron in neurons.neurons])
    shares = ((values[0][0].mean(dim=0) - means) * weight).tolist()
    for unit in found.units:
        assert unit.name.startswith("L02/")
        assert unit.score == pytest.approx(shares[int(unit.name[4:])], abs=1e-4)
    nothing = float(bias[2] - bias[1]) + float(weight @ means)
    assert found.test.margin_of_nothing == pytest.approx(nothing, abs=1e-4)
    assert nothing + sum(shares) == pytest.approx(found.margin, abs=1e-4)
    named = sum(unit.score for unit in found.units)
    share = named / (found.margin - nothing)
    assert found.test.margin_kept == pytest.approx(share, abs=1e-3)
    assert found.test.margin_when_removed == pytest.approx(1 - share, abs=1e-3)


def test_few_neurons_are_named_of_those_that_fire(
    last: PathwayClassifier, tokenizer: Tokenizer, neurons: NeuronsFile
) -> None:
    found = explained(last, tokenizer, neurons)
    with torch.no_grad(), record_sparse(last) as values:
        last(torch.tensor([tokenizer.encode(TEXT).ids]))
    firing = (values[0][0] != 0).any(dim=0)
    assert found.n_units == int(firing.sum())
    assert found.n_units_kept == len(found.units) == len(found.neurons) == 3
    assert all(bool(firing[int(unit.name[4:])]) for unit in found.units)
    assert [neuron.name for neuron in found.neurons] == [unit.name for unit in found.units]
    assert len(found.test.random_margin_kept) == 20
    assert sum(found.test.random_margin_kept) / 20 < 0.5 * found.test.margin_kept


def test_of_a_model_that_reads_its_first_token_only_that_tokens_neurons_count(
    trained: PathwayClassifier, tokenizer: Tokenizer
) -> None:
    model = make_sparse(trained, {"block_out": 8}, first_layer=2, n_dense_layers=0).eval()
    model.config.pooling = "cls"
    found = explained(model, tokenizer, None)
    assert found.n_units == 8
    assert found.neurons == []


def test_a_head_makes_scores_estimates_of_the_first_tokens_neurons(
    trained: PathwayClassifier, tokenizer: Tokenizer
) -> None:
    model = make_sparse(trained, {"block_out": 8}, first_layer=2, n_dense_layers=0)
    model.config.pooling = "cls"
    model.config.head = {"activation": "tanh", "bias": True, "norm_eps": None, "norm_bias": False}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.head = Head(32, model.config.head)
    found = explained(model.eval(), tokenizer, None)
    assert not found.is_exact
    assert found.n_units == 8


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_neurons_inside_the_model_are_scored_along_a_line(
    family: str, tokenizer: Tokenizer
) -> None:
    model = make_sparse(random_classifier(family), {"mlp_hidden": 8, "block_out": 8}).eval()
    found = explained(model, tokenizer, studied(model, tokenizer))
    assert not found.is_exact
    assert {unit.name[:3] for unit in found.units} <= {"L00", "L01"}
    assert found.n_units_kept == max(3, round(0.05 * found.n_units))


def test_a_neuron_is_known_by_the_texts_in_which_it_fires_most(
    last: PathwayClassifier, tokenizer: Tokenizer, neurons: NeuronsFile
) -> None:
    strength = torch.zeros(48, 32)
    for number, row in enumerate(ENCODED):
        with torch.no_grad(), record_sparse(last) as values:
            last(torch.tensor([row]))
        strength[number] = values[0][0].amax(dim=0)
    assert neurons.n_texts == 48
    for index, neuron in enumerate(neurons.neurons):
        assert neuron.name == f"L02/{index}"
        assert neuron.share_of_texts == pytest.approx(float((strength[:, index] != 0).sum()) / 48)
        for example in neuron.examples:
            assert example.strength == pytest.approx(
                float(strength[example.row_id - 100, index]), abs=1e-4
            )
        if neuron.examples:
            top = float(strength[:, index].max())
            assert neuron.examples[0].strength == pytest.approx(top, abs=1e-4)
            assert neuron.examples[0].token in neuron.examples[0].text.split()


def test_what_neurons_stand_for_belongs_to_one_model(
    last: PathwayClassifier, trained: PathwayClassifier, neurons: NeuronsFile, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"no neurons\.json"):
        load_neurons(tmp_path, last)
    save_neurons(tmp_path, neurons)
    assert load_neurons(tmp_path, last) == neurons
    other = make_sparse(trained, {"mlp_hidden": 8})
    with pytest.raises(ModelError, match="not the model's 128"):
        load_neurons(tmp_path, other)
    (tmp_path / "neurons.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunError):
        load_neurons(tmp_path, last)


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_what_neurons_stand_for_is_shown(
    last: PathwayClassifier, tokenizer: Tokenizer, neurons: NeuronsFile, lang: Lang
) -> None:
    found = explained(last, tokenizer, neurons)
    stream = io.StringIO()
    print_explanation(found, Console(file=stream, width=160), lang)
    page = html.unescape(explanation_html(found, lang))
    for shown in (stream.getvalue(), page):
        assert WORDS[lang]["stand_for"] in shown
        assert WORDS[lang]["neurons_exact"] in shown.replace("\n", "")
        assert str(found.neurons[0].label) in shown
        assert "{" not in shown.split("</style>")[-1]
    estimated = html.unescape(explanation_html(replace(found, is_exact=False), lang))
    assert WORDS[lang]["neurons_line"] in estimated
