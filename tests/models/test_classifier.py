"""The classifier pools real tokens only and stands alone as a file."""

import ast
import copy
import inspect

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sparsepath.models import classifier
from sparsepath.models.classifier import PathwayClassifier, PathwayConfig, from_encoder

Inputs = dict[str, Tensor]


def test_logits_do_not_depend_on_padding(model: PathwayClassifier, padded: Inputs) -> None:
    both = model(**padded).logits
    alone = model(input_ids=padded["input_ids"][1:, :5]).logits
    torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=1e-5)


def test_logits_are_the_classifier_on_the_mean_of_real_tokens(
    model: PathwayClassifier, padded: Inputs
) -> None:
    hidden = model.encoder(**padded).last_hidden_state
    want = torch.stack([hidden[0].mean(dim=0), hidden[1, :5].mean(dim=0)])
    torch.testing.assert_close(model.pool(**padded), want, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(model(**padded).logits, model.classifier(want), atol=1e-5, rtol=1e-5)


def test_cls_pooling_takes_the_first_token(make_model, inputs: Inputs) -> None:
    whole = make_model("bert")
    model = from_encoder(whole.encoder, ["a", "b"], pooling="cls")
    ids = inputs["input_ids"].clamp_min(0)
    hidden = model.encoder(input_ids=ids).last_hidden_state
    torch.testing.assert_close(model.pool(input_ids=ids), hidden[:, 0])


def test_loss_is_the_mean_cross_entropy(model: PathwayClassifier, padded: Inputs) -> None:
    labels = torch.tensor([2, 0])
    result = model(**padded, labels=labels)
    torch.testing.assert_close(result.loss, functional.cross_entropy(result.logits, labels))


def test_token_types_are_ignored(make_model, inputs: Inputs) -> None:
    model = make_model("bert")
    ids = inputs["input_ids"].clamp_min(0)
    types = torch.ones_like(ids)
    assert torch.equal(model(ids, token_type_ids=types).logits, model(ids).logits)


def test_hidden_states_have_one_entry_per_layer_and_one_more(
    model: PathwayClassifier, padded: Inputs
) -> None:
    assert len(model(**padded, output_hidden_states=True).hidden_states) == 4


@torch.no_grad()
def test_eager_attention_gives_the_same_logits_and_its_weights(
    model: PathwayClassifier, padded: Inputs
) -> None:
    want = model(**padded).logits
    model.set_attn_implementation("eager")
    got = model(**padded, output_attentions=True)
    torch.testing.assert_close(got.logits, want, atol=1e-5, rtol=1e-5)
    assert [tuple(x.shape) for x in got.attentions] == [(2, 4, 9, 9)] * 3


@torch.no_grad()
def test_a_deep_copy_is_independent(model: PathwayClassifier, padded: Inputs) -> None:
    want = model(**padded).logits
    other = copy.deepcopy(model)
    for parameter in other.parameters():
        parameter.zero_()
    assert torch.equal(model(**padded).logits, want)


def test_first_weights_come_from_the_generator(make_model) -> None:
    encoder = make_model("bert").encoder
    first, second, other = (
        from_encoder(encoder, ["a", "b"], generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first.classifier.weight, second.classifier.weight)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)


def test_the_unused_pooler_is_dropped() -> None:
    from transformers import BertConfig, BertModel

    encoder = BertModel(
        BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    )
    model = from_encoder(encoder, ["a", "b"])
    assert not [name for name, _ in model.named_parameters() if "pooler" in name]


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match="'max'"):
        PathwayConfig(pooling="max")


def test_the_file_needs_only_torch_transformers_and_the_standard_library() -> None:
    tree = ast.parse(inspect.getsource(classifier))
    spared = {
        id(node)
        for tried in ast.walk(tree)
        if isinstance(tried, ast.Try)
        and any(getattr(h.type, "id", "") == "ImportError" for h in tried.handlers)
        for part in tried.body
        for node in ast.walk(part)
    }
    needed = [node for node in ast.walk(tree) if id(node) not in spared]
    imported = {alias.name for n in needed if isinstance(n, ast.Import) for alias in n.names}
    imported |= {str(n.module) for n in needed if isinstance(n, ast.ImportFrom)}
    packages = {name.partition(".")[0] for name in imported}
    assert packages == {"collections", "typing", "torch", "transformers"}
