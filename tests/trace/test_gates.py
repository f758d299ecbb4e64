"""Gates scale units and nothing else; recordings show what the units were."""

import pytest
import torch
from transformers import BertConfig, BertModel, ModernBertConfig, ModernBertModel

from sparsepath.errors import ShapeError
from sparsepath.models.classifier import PathwayClassifier, from_encoder
from sparsepath.models.families import encoder_sites
from sparsepath.models.units import UnitMask, UnitMeans
from sparsepath.trace.batches import Batch
from sparsepath.trace.gates import gated, gates_of, record, unit_means

SIZES = {
    "vocab_size": 30,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 6,
    "max_position_embeddings": 20,
}


@pytest.fixture(params=["bert", "modernbert"])
def model(request: pytest.FixtureRequest) -> PathwayClassifier:
    """A random classifier with four heads of width 4 and six neurons in each of two layers."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if request.param == "bert":
            encoder = BertModel(BertConfig(**SIZES, initializer_range=0.5), add_pooling_layer=False)
        else:
            tokens = dict.fromkeys(
                ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0
            )
            encoder = ModernBertModel(ModernBertConfig(**SIZES, **tokens, initializer_range=0.5))
    return from_encoder(encoder, ["a", "b"], generator=torch.Generator().manual_seed(0))


BATCH = Batch(
    torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0]]),
    torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]),
    torch.tensor([0, 1]),
    torch.tensor([0, 1]),
)
INPUTS = {"input_ids": BATCH.input_ids, "attention_mask": BATCH.attention_mask}


def _random_gates(*batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    heads = torch.rand(*batch, 2, 4, generator=generator)
    return heads, torch.rand(*batch, 2, 6, generator=generator)


@torch.no_grad()
def test_gates_of_one_change_no_bit_and_leave_no_trace(model: PathwayClassifier) -> None:
    before = model(**INPUTS).logits
    means = unit_means(model, [BATCH])
    gates = gates_of(UnitMask.full(model))
    with gated(model, heads=gates.heads, neurons=gates.neurons, means=means, skip=gates.skip):
        assert torch.equal(model(**INPUTS).logits, before)
    with pytest.raises(RuntimeError), gated(model, heads=torch.zeros(2, 4)), record(model):
        raise RuntimeError
    assert torch.equal(model(**INPUTS).logits, before)
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())


@torch.no_grad()
def test_a_gate_is_the_same_as_scaling_the_columns_it_feeds(model: PathwayClassifier) -> None:
    heads, neurons = _random_gates()
    with gated(model, heads=heads, neurons=neurons):
        got = model(**INPUTS).logits
    for i, site in enumerate(encoder_sites(model.encoder).layers):
        site.attention_out.weight.mul_(heads[i].repeat_interleave(4))
        site.mlp_out.weight.mul_(neurons[i])
    torch.testing.assert_close(got, model(**INPUTS).logits, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_each_example_can_have_its_own_gates(model: PathwayClassifier) -> None:
    heads, neurons = _random_gates(2)
    means = unit_means(model, [BATCH])
    with gated(model, heads=heads, neurons=neurons, means=means):
        together = model(**INPUTS).logits
    for row in range(2):
        with gated(model, heads=heads[row], neurons=neurons[row], means=means):
            alone = model(**INPUTS).logits[row]
        torch.testing.assert_close(together[row], alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_closed_gate_leaves_the_mean(model: PathwayClassifier) -> None:
    means = unit_means(model, [BATCH])
    heads, neurons = torch.ones(2, 4), torch.ones(2, 6)
    heads[0, 2] = neurons[1, 3] = 0
    with (
        gated(model, heads=heads, neurons=neurons, means=means),
        record(model) as recording,
    ):
        model(**INPUTS)
    closed = recording.attention[0][..., 8:12]
    torch.testing.assert_close(closed, means.heads[0, 8:12].expand_as(closed))
    closed = recording.mlp[1][..., 3]
    torch.testing.assert_close(closed, means.neurons[1, 3].expand_as(closed))


@torch.no_grad()
def test_a_skipped_layer_passes_its_input_on(model: PathwayClassifier) -> None:
    with gated(model, skip=[0, 1]), record(model) as recording:
        states = model.encoder(**INPUTS, output_hidden_states=True).hidden_states
    assert len(recording.mlp) == 2
    assert torch.equal(states[0], states[1])


def test_gradients_of_gates_equal_finite_differences(model: PathwayClassifier) -> None:
    model.double()
    heads, neurons = (g.double().requires_grad_() for g in _random_gates())
    means = unit_means(model, [BATCH])
    means = UnitMeans(means.heads.double(), means.neurons.double())

    def loss(heads: torch.Tensor, neurons: torch.Tensor) -> torch.Tensor:
        with gated(model, heads=heads, neurons=neurons, means=means):
            return model(**INPUTS, labels=BATCH.labels).loss

    # ModernBERT turns queries and keys in float32, whatever the weights are.
    assert torch.autograd.gradcheck(loss, (heads, neurons), eps=1e-3, atol=1e-4, rtol=1e-2)


def test_recorded_values_carry_gradients(model: PathwayClassifier) -> None:
    with record(model) as recording:
        loss = model(**INPUTS, labels=BATCH.labels).loss
    grads = torch.autograd.grad(loss, [*recording.attention, *recording.mlp])
    assert [tuple(g.shape) for g in grads] == [(2, 4, 16)] * 2 + [(2, 4, 6)] * 2
    assert all(float(g.abs().sum()) > 0 for g in grads)


@torch.no_grad()
def test_means_are_over_real_tokens_of_all_batches(model: PathwayClassifier) -> None:
    long = Batch(BATCH.input_ids[:1], BATCH.attention_mask[:1], None, BATCH.rows[:1])
    short = Batch(BATCH.input_ids[1:, :2], BATCH.attention_mask[1:, :2], None, BATCH.rows[1:])
    want = unit_means(model, [long, short])
    got = unit_means(model, [BATCH])
    torch.testing.assert_close(got.heads, want.heads, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got.neurons, want.neurons, atol=1e-5, rtol=1e-5)
    with record(model) as recording:
        model(input_ids=long.input_ids)
        first = recording.mlp[0][0]
        model(input_ids=short.input_ids)
    by_hand = torch.cat([first, recording.mlp[0][0]]).mean(dim=0)
    torch.testing.assert_close(want.neurons[0], by_hand, atol=1e-5, rtol=1e-5)


def test_means_are_taken_without_dropout_and_the_mode_is_restored(model: PathwayClassifier) -> None:
    model.train()
    assert torch.equal(unit_means(model, [BATCH]).heads, unit_means(model, [BATCH]).heads)
    assert model.training


@pytest.mark.parametrize("wrong", [{"heads": torch.ones(2, 5)}, {"neurons": torch.ones(3, 6)}])
def test_gates_of_another_model_are_refused(
    model: PathwayClassifier, wrong: dict[str, torch.Tensor]
) -> None:
    with pytest.raises(ShapeError, match="this model needs"), gated(model, **wrong):
        pass


def test_means_of_nothing_are_refused(model: PathwayClassifier) -> None:
    with pytest.raises(ShapeError, match="no real token"):
        unit_means(model, [])
