"""The search meets its targets, prefers what is worth more, and is the same every time."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsepath.errors import ConfigError
from sparsepath.models.units import UnitMask, UnitScores
from sparsepath.pathways.controls import layer_drop_masks, random_masks
from sparsepath.pathways.depths import DepthTable
from sparsepath.pathways.search import NEURON_MULTIPLE, cost_targets, mask_of, search_masks

Shape = Sequence[tuple[int, int]]
N_LAYERS, N_HEADS, N_NEURONS = 3, 4, 128
FULL_SHAPE = [(N_HEADS, N_NEURONS)] * N_LAYERS


class Linear:
    """Milliseconds that add up."""

    def predict_ms(self, shape: Shape) -> float:
        return 0.1 + sum(0.5 + 0.1 * h + 0.005 * m for h, m in shape if h or m)


class Bending(Linear):
    """Milliseconds that grow faster than their sum, as when weights leave the cache."""

    def predict_ms(self, shape: Shape) -> float:
        plain = super().predict_ms(shape)
        return plain + 0.02 * plain**2


def scores(seed: int = 0) -> UnitScores:
    generator = torch.Generator().manual_seed(seed)
    return UnitScores(
        torch.rand(N_LAYERS, N_HEADS, generator=generator),
        torch.rand(N_LAYERS, N_NEURONS, generator=generator) ** 4,
    )


def depths(worth: Sequence[float] = (0.8, 0.1, 0.4)) -> DepthTable:
    patterns = [p for k in range(N_LAYERS + 1) for p in combinations(range(N_LAYERS), k)]
    losses = {p: 2.0 - sum(worth[i] for i in p) for p in patterns}
    return DepthTable(
        nll_nats=losses,
        accuracy=dict.fromkeys(patterns, 0.5),
        n=100,
        n_layers=N_LAYERS,
        attention_share=0.5,
    )


@pytest.mark.parametrize("latency", [Linear(), Bending()])
def test_twenty_four_targets_give_as_many_different_sub_models_within_them(latency: Linear) -> None:
    targets = cost_targets(latency, FULL_SHAPE, 24)
    found = search_masks(scores(), latency, targets, depths())
    assert len(found) >= 20
    keys = {f.mask.heads.numpy().tobytes() + f.mask.neurons.numpy().tobytes() for f in found}
    assert len(keys) == len(found)
    for item in found:
        assert item.predicted_ms == pytest.approx(latency.predict_ms(item.mask.shape))
        assert item.predicted_ms <= item.target_ms + 1e-6
        assert all(m % NEURON_MULTIPLE == 0 for _, m in item.mask.shape)


def test_more_time_is_never_expected_to_be_worse_and_is_nearly_used_up() -> None:
    latency = Linear()
    found = search_masks(scores(), latency, cost_targets(latency, FULL_SHAPE, 24), depths())
    losses = [item.expected_nll_nats for item in found]
    assert all(b <= a for a, b in pairwise(losses))
    assert losses[-1] < 0.75 < 1.99 < losses[0]
    assert sum(item.predicted_ms for item in found) > 0.9 * sum(item.target_ms for item in found)


def test_the_layer_that_is_worth_most_is_the_last_to_go() -> None:
    latency = Linear()
    one_layer = latency.predict_ms([(N_HEADS, N_NEURONS)])
    alike = UnitScores(torch.ones(N_LAYERS, N_HEADS), torch.ones(N_LAYERS, N_NEURONS))
    for worth, best in (((0.9, 0.1, 0.1), 0), ((0.1, 0.1, 0.9), 2)):
        (found,) = search_masks(alike, latency, [one_layer], depths(worth))
        assert found.mask.kept_layers == [best]
        assert found.mask.shape == [(N_HEADS, N_NEURONS)]


def test_the_smallest_target_is_the_model_without_layers() -> None:
    latency = Linear()
    targets = cost_targets(latency, FULL_SHAPE)
    found = search_masks(scores(), latency, targets, depths())
    assert found[0].mask.n_units == 0
    assert "no layer" in found[0].reason


def test_units_within_a_layer_are_kept_by_score() -> None:
    made = scores()
    for item in search_masks(made, Linear(), [1.5, 2.5], depths()):
        for layer in item.mask.kept_layers:
            kept = made.neurons[layer][item.mask.neurons[layer]]
            gone = made.neurons[layer][~item.mask.neurons[layer]]
            assert len(kept) == 0 or len(gone) == 0 or kept.min() >= gone.max()


def test_narrow_attention_when_the_mlp_holds_the_worth_and_the_other_way_round() -> None:
    target = [Linear().predict_ms([(2, 64)] * N_LAYERS)]
    even = depths((0.5, 0.5, 0.5))
    heads, neurons = {}, {}
    for share in (0.05, 0.95):
        (found,) = search_masks(scores(), Linear(), target, replace(even, attention_share=share))
        heads[share], neurons[share] = found.mask.heads.sum(), found.mask.neurons.sum()
    assert heads[0.05] < heads[0.95]
    assert neurons[0.05] > neurons[0.95]


def test_measured_losses_overrule_expected_ones() -> None:
    target = Linear().predict_ms([(N_HEADS, N_NEURONS)])
    asked: list[int] = []

    def prefers_the_last_layer(masks: Sequence[UnitMask]) -> list[float]:
        asked.append(len(masks))
        return [0.0 if mask.kept_layers == [2] else 1.0 for mask in masks]

    (expected,) = search_masks(scores(), Linear(), [target], depths())
    assert expected.mask.kept_layers != [2]
    (found,) = search_masks(
        scores(), Linear(), [target], depths(), n_measured=8, measure=prefers_the_last_layer
    )
    assert 3 < asked[0] <= 8
    assert found.mask.kept_layers == [2]
    assert found.expected_nll_nats == 0.0


def test_the_same_input_gives_the_same_masks() -> None:
    first, again = (
        search_masks(scores(), Linear(), cost_targets(Linear(), FULL_SHAPE), depths())
        for _ in range(2)
    )
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a.mask.heads, b.mask.heads)
        assert torch.equal(a.mask.neurons, b.mask.neurons)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    target=st.floats(0.1, 5.0),
    worth=st.tuples(*[st.floats(-0.2, 1.0)] * N_LAYERS),
)
def test_any_target_above_the_floor_is_met(
    seed: int, target: float, worth: tuple[float, ...]
) -> None:
    (found,) = search_masks(scores(seed), Bending(), [max(target, 0.2)], depths(worth))
    assert Bending().predict_ms(found.mask.shape) <= max(target, 0.2) + 1e-6


def test_a_target_nobody_can_meet_names_the_floor() -> None:
    with pytest.raises(ConfigError, match=r"without layers needs 0\.1000 ms"):
        search_masks(scores(), Linear(), [0.05], depths())


def test_layers_with_fewer_units_keep_to_what_they_have() -> None:
    made = scores()
    made.heads[1, 2:] = -torch.inf
    made.neurons[1, 40:] = -torch.inf
    found = search_masks(made, Linear(), cost_targets(Linear(), FULL_SHAPE, 24), depths())
    assert any(1 in item.mask.kept_layers for item in found)
    for item in found:
        assert not item.mask.heads[1, 2:].any()
        assert not item.mask.neurons[1, 40:].any()


def full_mask() -> UnitMask:
    return UnitMask(
        torch.ones(N_LAYERS, N_HEADS, dtype=torch.bool),
        torch.ones(N_LAYERS, N_NEURONS, dtype=torch.bool),
    )


def test_random_controls_have_the_same_shapes_but_other_units() -> None:
    like = [item.mask for item in search_masks(scores(), Linear(), [1.0, 2.0, 3.0], depths())]
    drawn = random_masks(full_mask(), like, generator=torch.Generator().manual_seed(0))
    assert [mask.shape for mask in drawn] == [mask.shape for mask in like]
    assert any(not torch.equal(a.neurons, b.neurons) for a, b in zip(drawn, like, strict=True))
    again = random_masks(full_mask(), like, generator=torch.Generator().manual_seed(0))
    assert all(torch.equal(a.neurons, b.neurons) for a, b in zip(drawn, again, strict=True))


def test_random_controls_of_an_uneven_parent_use_units_it_has() -> None:
    full = full_mask()
    full.neurons[0, 10:] = False
    like = mask_of(scores(), {1: (4, 128)})
    for seed in range(10):
        (drawn,) = random_masks(full, [like], generator=torch.Generator().manual_seed(seed))
        assert drawn.without(full).n_units == 0
        assert drawn.shape == [(4, 128)]


def test_layer_dropping_keeps_the_first_layers_whole() -> None:
    masks = layer_drop_masks(full_mask())
    assert [mask.kept_layers for mask in masks] == [[], [0], [0, 1]]
    assert masks[2].shape == [(N_HEADS, N_NEURONS)] * 2
