"""How importance is spread: hand-made cases, and units of a model that do and do not matter."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from sparsepath.errors import ShapeError
from sparsepath.models.classifier import PathwayClassifier, from_encoder
from sparsepath.pathways.concentration import concentration, input_importance
from sparsepath.pathways.controls import shuffled_twin
from sparsepath.trace.batches import bucketed_batches


def rng() -> np.random.Generator:
    """Make a generator."""
    return np.random.default_rng(0)


def small_model() -> PathwayClassifier:
    """Make a random BERT of two layers with a strong classifier."""
    config = BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = BertModel(config, add_pooling_layer=False)
    generator = torch.Generator().manual_seed(0)
    model = from_encoder(encoder, ["a", "b", "c"], max_length=12, generator=generator)
    with torch.no_grad():
        model.classifier.weight.mul_(30)
    return model.eval()


def test_equal_units_are_not_concentrated() -> None:
    importance = np.full((10, 40), 1 / 40)
    found = concentration(importance, np.zeros(10, np.int64), rng=rng())
    assert found.effective_share == pytest.approx(1.0)
    assert found.top_share == pytest.approx(0.1)
    assert found.lorenz == pytest.approx(np.linspace(0, 1, 21))


def test_one_unit_that_does_all_is_concentrated_and_the_same_for_all() -> None:
    importance = np.zeros((10, 40))
    importance[:, 3] = 1.0
    found = concentration(importance, np.zeros(10, np.int64), rng=rng())
    assert found.effective_share == pytest.approx(1 / 40)
    assert found.top_share == 1.0
    assert found.lorenz[:-1] == pytest.approx([0.0] * 20)
    assert found.overlap == 1.0
    assert found.overlap_shuffled < 0.3


def test_pathways_of_labels_overlap_within_a_label_only() -> None:
    labels = np.arange(40) % 4
    importance = np.zeros((40, 100))
    for row, label in enumerate(labels):
        importance[row, 10 * label : 10 * label + 10] = 0.1
    found = concentration(importance, labels, rng=rng())
    assert found.overlap_same_label == 1.0
    assert found.overlap == pytest.approx(0.25, abs=0.08)


def test_importance_is_the_effect_of_a_gate_and_differs_between_inputs() -> None:
    model = small_model()
    encoded = [[2, 5, 6, 3], [2, 9, 3], [2, 30, 31, 32, 3]]
    batches = list(bucketed_batches(encoded, None, 2, pad_id=0))
    found = input_importance(model, batches, means=None)
    assert found.shape == (3, 2 * 2 + 2 * 16)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(3))
    torch.testing.assert_close(found[:, :4].sum(dim=1), torch.full((3,), 0.5))
    assert float((found[0] - found[2]).abs().max()) > 1e-3
    with torch.no_grad():
        model.encoder.encoder.layer[0].output.dense.weight.zero_()
    without = input_importance(model, batches, means=None)
    assert not without[:, 4 : 4 + 16].any()


def test_a_shuffled_twin_has_the_same_numbers_in_another_order() -> None:
    model = small_model()
    twin = shuffled_twin(model, generator=torch.Generator().manual_seed(0))
    ours, theirs = model.classifier.weight, twin.classifier.weight
    assert not torch.equal(ours, theirs)
    torch.testing.assert_close(ours.flatten().sort().values, theirs.flatten().sort().values)


def test_too_few_inputs_are_refused() -> None:
    with pytest.raises(ShapeError, match="1 inputs"):
        concentration(np.ones((1, 4)) / 4, np.zeros(1, np.int64), rng=rng())
    with pytest.raises(ShapeError, match="no inputs"):
        input_importance(small_model(), [], means=None)
