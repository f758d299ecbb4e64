"""A cut model computes what its parent computes with the same units gated."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sparsepath.errors import ShapeError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import encoder_layers, encoder_sites
from sparsepath.models.surgery import extract
from sparsepath.models.units import UnitMask
from sparsepath.trace.batches import Batch
from sparsepath.trace.gates import gated, gates_of, unit_means

Inputs = dict[str, Tensor]


def _random_mask() -> UnitMask:
    generator = torch.Generator().manual_seed(3)
    return UnitMask(
        torch.rand(3, 4, generator=generator) < 0.5, torch.rand(3, 24, generator=generator) < 0.5
    )


def _without_heads(mask: UnitMask) -> None:
    mask.heads[1] = False


def _without_neurons(mask: UnitMask) -> None:
    mask.neurons[0] = mask.neurons[2] = False


def _without_first_layer(mask: UnitMask) -> None:
    mask.heads[0] = mask.neurons[0] = False


def _without_middle_layer(mask: UnitMask) -> None:
    mask.heads[1] = mask.neurons[1] = False


def _without_anything(mask: UnitMask) -> None:
    mask.heads[:] = mask.neurons[:] = False


CASES: dict[str, Callable[[UnitMask], None]] = {
    "some units of every layer": lambda mask: None,
    "no heads in a layer": _without_heads,
    "no neurons in two layers": _without_neurons,
    "no first layer": _without_first_layer,
    "no middle layer": _without_middle_layer,
    "no layer at all": _without_anything,
}


@pytest.fixture(params=list(CASES))
def keep(request: pytest.FixtureRequest) -> UnitMask:
    mask = _random_mask()
    CASES[request.param](mask)
    return mask


@pytest.mark.parametrize("with_means", [False, True])
@torch.no_grad()
def test_logits_equal_the_gated_parent(
    model: PathwayClassifier, padded: Inputs, keep: UnitMask, with_means: bool
) -> None:
    batch = Batch(padded["input_ids"], padded["attention_mask"], None, torch.arange(2))
    means = unit_means(model, [batch]) if with_means else None
    gates = gates_of(keep)
    with gated(model, heads=gates.heads, neurons=gates.neurons, skip=gates.skip, means=means):
        want = model(**padded).logits
    small = extract(model, keep, means=means)
    torch.testing.assert_close(small(**padded).logits, want, atol=1e-5, rtol=1e-5)
    assert small.num_parameters() < model.num_parameters()
    sizes = [(x.n_heads, x.n_neurons) for x in encoder_sites(small.encoder).layers]
    assert sizes == keep.shape


@torch.no_grad()
def test_keeping_everything_changes_nothing(model: PathwayClassifier, padded: Inputs) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    small = extract(model, UnitMask.full(model))
    assert torch.equal(small(**padded).logits, model(**padded).logits)
    for tensor in small.state_dict().values():
        tensor.add_(1.0)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), f"{name} is shared with the small model"


@torch.no_grad()
def test_cutting_twice_equals_cutting_once(model: PathwayClassifier, padded: Inputs) -> None:
    full, keep = UnitMask.full(model), _random_mask()
    _without_first_layer(keep)
    halfway = UnitMask(full.heads, full.neurons | keep.neurons)
    halfway.neurons[2] = keep.neurons[2]
    once = extract(model, keep)
    first = extract(model, halfway)
    rest = UnitMask.full(first)
    rest.heads[:] = keep.heads
    rest.neurons[:2] = keep.neurons[:2]
    twice = extract(first, rest)
    assert twice.config.layers == once.config.layers
    assert [layer["source"] for layer in twice.config.layers] == [1, 2]
    torch.testing.assert_close(twice(**padded).logits, once(**padded).logits)


def test_kept_heads_are_named_by_their_number_in_the_first_model(model: PathwayClassifier) -> None:
    keep = UnitMask.full(model)
    keep.heads[1] = torch.tensor([False, True, False, True])
    small = extract(model, keep)
    again = UnitMask.full(small)
    again.heads[1, 0] = False
    assert small.config.layers[1]["heads"] == [1, 3]
    assert extract(small, again).config.layers[1]["heads"] == [3]


def test_every_weight_of_a_cut_model_that_is_used_learns(
    model: PathwayClassifier, padded: Inputs, keep: UnitMask
) -> None:
    small = extract(model, keep).train()
    small(**padded, labels=torch.tensor([0, 1])).loss.backward()
    for i, site in enumerate(encoder_sites(small.encoder).layers):
        for linear in (site.attention_out, site.mlp_out):
            assert linear.bias is not None
            assert linear.bias.grad is not None, f"layer {i}"
    assert small.get_input_embeddings().weight.grad is not None


def test_modernbert_layers_keep_their_kind_of_attention_and_their_norms(make_model) -> None:
    model = make_model("modernbert")
    keep = UnitMask.full(model)
    _without_first_layer(keep)
    small = extract(model, keep)
    layers = encoder_layers(small.encoder)
    assert [layer.attention_type for layer in layers] == ["sliding_attention"] * 2
    assert torch.equal(
        layers[0].attn_norm.weight, encoder_layers(model.encoder)[1].attn_norm.weight
    )


@torch.no_grad()
def test_a_smaller_vocabulary_leaves_the_logits_alone(
    model: PathwayClassifier, padded: Inputs, family: str
) -> None:
    pad_id = model.encoder.config.pad_token_id
    used = set(padded["input_ids"].flatten().tolist()) | {pad_id, 40}
    vocabulary = torch.tensor(sorted(used))
    new_ids = {int(old): new for new, old in enumerate(vocabulary)}
    assert family in {"bert", "distilbert", "modernbert"} or new_ids[pad_id] != pad_id
    small = extract(model, UnitMask.full(model), vocabulary=vocabulary)
    renumbered = torch.tensor([[new_ids[i] for i in row] for row in padded["input_ids"].tolist()])
    got = small(renumbered, padded["attention_mask"]).logits
    assert torch.equal(got, model(**padded).logits)
    assert encoder_sites(small.encoder).embedding.num_embeddings == len(used)
    assert small.config.pad_token_id == small.encoder.config.pad_token_id == new_ids[pad_id]


@pytest.mark.parametrize(
    ("vocabulary", "problem"),
    [([0, 1, 1], "2 of them different"), ([0, 60], "between 0 and 60"), ([5, 6], "padding")],
)
def test_an_impossible_vocabulary_is_refused(
    make_model, vocabulary: list[int], problem: str
) -> None:
    model = make_model("bert")
    with pytest.raises(ShapeError, match=problem):
        extract(model, UnitMask.full(model), vocabulary=torch.tensor(vocabulary))


def test_a_padding_token_that_would_move_up_is_refused(make_model) -> None:
    model = make_model("roberta")
    with pytest.raises(ShapeError, match="padding token moves"):
        extract(model, UnitMask.full(model), vocabulary=torch.tensor([5, 6, 7, 1]))
