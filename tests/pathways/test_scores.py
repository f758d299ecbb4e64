"""Scores find the units that matter, whatever the padding, and random ones do not."""

import pytest
import torch

from sparsepath.errors import ConfigError, ShapeError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import encoder_sites
from sparsepath.models.surgery import extract
from sparsepath.models.units import UnitMask, UnitScores
from sparsepath.pathways.removal import measure_masked, remaining
from sparsepath.pathways.scores import (
    Method,
    combine_scores,
    layer_scores,
    rank_agreement,
    score_units,
)
from sparsepath.trace.batches import Batch
from sparsepath.trace.gates import UnitMeans, gated


@pytest.mark.parametrize("method", ["gradient", "activation"])
def test_a_unit_without_output_weights_scores_zero(
    model: PathwayClassifier, method: Method, fit_rows: list[Batch]
) -> None:
    site = encoder_sites(model.encoder).layers[1]
    with torch.no_grad():
        site.mlp_out.weight[:, 5] = 0
        site.attention_out.weight[:, site.head_dim : 2 * site.head_dim] = 0
    scores = score_units(model, fit_rows[:2], method)
    assert scores.neurons[1, 5] == 0
    assert scores.heads[1, 1] == 0
    assert (scores.heads[0] > 0).all()
    assert scores.neurons.gt(0).sum() == scores.neurons.numel() - 1


def test_gradient_scores_are_the_mean_absolute_change_of_the_loss(
    trained: PathwayClassifier, means: UnitMeans, fit_rows: list[Batch]
) -> None:
    batch = fit_rows[0]
    got = score_units(trained, [batch], "gradient", means=means).heads[2, 3]
    step, changes = 1e-3, []
    for sign in (1, -1):
        gates = torch.ones(3, 4)
        gates[2, 3] += sign * step
        with torch.no_grad(), gated(trained, heads=gates, means=means):
            logits = trained(batch.input_ids, batch.attention_mask).logits.double()
        changes.append(torch.nn.functional.cross_entropy(logits, batch.labels, reduction="none"))
    want = ((changes[0] - changes[1]) / (2 * step)).abs().mean()
    torch.testing.assert_close(got.double(), want, rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("method", ["gradient", "activation"])
def test_padding_does_not_count(
    model: PathwayClassifier, method: Method, fit_rows: list[Batch]
) -> None:
    batch = fit_rows[0]
    wider = Batch(
        torch.nn.functional.pad(batch.input_ids, (0, 7)),
        torch.nn.functional.pad(batch.attention_mask, (0, 7)),
        batch.labels,
        batch.rows,
    )
    plain = score_units(model, [batch], method)
    padded = score_units(model, [wider], method)
    torch.testing.assert_close(plain.heads, padded.heads, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(plain.neurons, padded.neurons, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("method", ["gradient", "activation"])
def test_removing_what_scores_low_hurts_less_than_chance_and_than_what_scores_high(
    trained: PathwayClassifier,
    means: UnitMeans,
    fit_rows: list[Batch],
    judge_rows: list[Batch],
    method: Method,
) -> None:
    scores = score_units(trained, fit_rows, method, means=means)
    low_first = UnitScores(-scores.heads, -scores.neurons)
    generator = torch.Generator().manual_seed(0)
    chance = [score_units(trained, [], "random", generator=generator) for _ in range(5)]
    losses = [
        measure_masked(trained, judge_rows, remaining(trained, order, 0.4), means=means).nll_nats
        for order in (low_first, scores, *chance)
    ]
    assert losses[0] < sum(losses[2:]) / 5 < losses[1]
    assert losses[0] < min(losses[2:])


def test_absent_units_of_a_cut_model_score_minus_infinity(
    fit_rows: list[Batch], trained: PathwayClassifier
) -> None:
    keep = UnitMask.full(trained)
    keep.heads[0, 2:] = False
    keep.neurons[2, 10:] = False
    small = extract(trained, keep)
    for method in ("gradient", "activation", "random"):
        scores = score_units(small, fit_rows[:1], method, generator=torch.Generator())
        assert scores.heads[0].isfinite().tolist() == [True, True, False, False]
        assert int(scores.neurons[2].isfinite().sum()) == 10
        assert layer_scores(scores).isfinite().all()


def test_a_model_without_layers_has_empty_scores(
    trained: PathwayClassifier, fit_rows: list[Batch]
) -> None:
    none = UnitMask.full(trained).without(UnitMask.full(trained))
    for method in ("gradient", "activation"):
        assert score_units(extract(trained, none), fit_rows[:1], method).heads.numel() == 0


def test_random_scores_follow_their_generator(trained: PathwayClassifier) -> None:
    first, again = (
        score_units(trained, [], "random", generator=torch.Generator().manual_seed(7))
        for _ in range(2)
    )
    assert torch.equal(first.neurons, again.neurons)
    assert rank_agreement(first, first) == pytest.approx(1.0)
    other = score_units(trained, [], "random", generator=torch.Generator().manual_seed(8))
    assert abs(rank_agreement(first, other)) < 0.7


def test_rank_agreement_is_spearman_with_ties() -> None:
    heads = torch.tensor([[1.0, 2.0, 2.0, 4.0]])
    other = torch.tensor([[10.0, 30.0, 20.0, 40.0]])
    neurons = torch.tensor([[1.0, 2.0]])
    got = rank_agreement(UnitScores(heads, neurons), UnitScores(other, -neurons))
    assert got == pytest.approx((0.9486833 - 1) / 2)  # scipy.stats.spearmanr gives 0.9486833


def test_combined_scores_are_high_only_where_both_are() -> None:
    first = UnitScores(torch.tensor([[1.0, 3.0]]), torch.tensor([[4.0, 0.0, -torch.inf]]))
    second = UnitScores(torch.tensor([[10.0, 30.0]]), torch.tensor([[1.0, 9.0, -torch.inf]]))
    both = combine_scores(first, second)
    torch.testing.assert_close(both.heads, torch.tensor([[0.5, 1.5]]))
    assert both.neurons[0, 0] > both.neurons[0, 1] == 0
    assert both.neurons[0, 2] == -torch.inf


def test_missing_labels_rows_and_generators_are_named(
    trained: PathwayClassifier, fit_rows: list[Batch]
) -> None:
    with pytest.raises(ShapeError, match="labels"):
        score_units(trained, [fit_rows[0]._replace(labels=None)], "gradient")
    with pytest.raises(ShapeError, match="no rows"):
        score_units(trained, [], "activation")
    with pytest.raises(ConfigError, match="generator"):
        score_units(trained, [], "random")
