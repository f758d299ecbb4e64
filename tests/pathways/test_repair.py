"""Repair brings a sub-model closer to its parent, without gradients and without labels."""

import pytest
import torch

from sparsepath.errors import ShapeError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.surgery import extract
from sparsepath.models.units import UnitMask, UnitMeans
from sparsepath.pathways.removal import measure_masked
from sparsepath.pathways.repair import record_parent, repair, repaired_losses
from sparsepath.pathways.scores import score_units
from sparsepath.pathways.search import mask_of
from sparsepath.trace.batches import Batch
from sparsepath.trace.gates import unit_means

SHAPES = {
    "half as wide": {0: (2, 32), 1: (2, 32), 2: (2, 32)},
    "two layers": {0: (4, 64), 2: (4, 64)},
    "one narrow layer": {1: (2, 16)},
    "no attention": {0: (0, 64), 1: (0, 64), 2: (0, 64)},
    "no neurons": {0: (4, 0), 1: (4, 0), 2: (4, 0)},
    "no layers": {},
}


def mask_for(
    trained: PathwayClassifier,
    shape: dict[int, tuple[int, int]],
    rows: list[Batch],
    means: UnitMeans,
) -> UnitMask:
    return mask_of(score_units(trained, rows, "activation", means=means), shape)


@pytest.mark.parametrize("name", SHAPES)
def test_repair_lowers_the_loss_on_rows_it_never_saw(
    trained: PathwayClassifier,
    means: UnitMeans,
    fit_rows: list[Batch],
    judge_rows: list[Batch],
    name: str,
) -> None:
    mask = mask_for(trained, SHAPES[name], fit_rows, means)
    small = extract(trained, mask, means=means)
    before = measure_masked(small, judge_rows).nll_nats
    state = {key: value.clone() for key, value in small.state_dict().items()}
    labelless = [batch._replace(labels=None) for batch in fit_rows]
    found = repair(small, record_parent(trained, labelless), labelless)
    assert measure_masked(found.model, judge_rows).nll_nats < before - 0.01
    assert all(site.error_after <= site.error_before for site in found.sites)
    assert len(found.sites) == 2 * len(SHAPES[name]) + 1
    for key, value in small.state_dict().items():
        assert torch.equal(value, state[key]), f"{key} of the given model changed"
    assert not any(p.grad is not None for p in trained.parameters())


def test_repairing_a_whole_copy_changes_nothing(
    model: PathwayClassifier, fit_rows: list[Batch]
) -> None:
    rows = fit_rows[:2]
    copy = extract(model, UnitMask.full(model))
    found = repair(copy, record_parent(model, rows), rows).model
    with torch.no_grad():
        got = found(rows[0].input_ids, rows[0].attention_mask).logits
        want = model(rows[0].input_ids, rows[0].attention_mask).logits
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kept", [(1,), (0, 2)])
def test_every_family_comes_closer_to_its_parent(
    model: PathwayClassifier, kept: tuple[int, ...], fit_rows: list[Batch], judge_rows: list[Batch]
) -> None:
    mask = UnitMask.full(model)
    for layer in range(3):
        mask.heads[layer, 2:] = False
        mask.neurons[layer, 32:] = False
        if layer not in kept:
            mask.heads[layer] = False
            mask.neurons[layer] = False
    small = extract(model, mask, means=unit_means(model, fit_rows))
    repaired = repair(small, record_parent(model, fit_rows), fit_rows).model

    def answers(other: PathwayClassifier) -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([other(b.input_ids, b.attention_mask).logits for b in judge_rows])

    def distance(other: PathwayClassifier) -> float:
        return float((answers(other) - answers(model)).pow(2).sum())

    assert distance(repaired) < distance(small)


def test_repair_is_the_same_every_time(
    trained: PathwayClassifier, means: UnitMeans, fit_rows: list[Batch]
) -> None:
    small = extract(trained, mask_for(trained, {0: (2, 32)}, fit_rows, means), means=means)
    record = record_parent(trained, fit_rows)
    first, again = (repair(small, record, fit_rows).model.state_dict() for _ in range(2))
    assert all(torch.equal(first[key], again[key]) for key in first)


def test_a_part_of_a_part_is_repaired_against_its_own_parent(
    trained: PathwayClassifier, means: UnitMeans, fit_rows: list[Batch]
) -> None:
    middle = extract(trained, mask_for(trained, {1: (4, 64), 2: (4, 64)}, fit_rows, means))
    keep = UnitMask.full(middle)
    keep.heads[0] = False
    keep.neurons[0] = False
    found = repair(extract(middle, keep), record_parent(middle, fit_rows), fit_rows)
    assert [site.name for site in found.sites] == ["L02.attention", "L02.mlp", "classifier"]


def test_foreign_rows_and_layers_are_refused(
    trained: PathwayClassifier, fit_rows: list[Batch]
) -> None:
    record = record_parent(trained, fit_rows[:2])
    with pytest.raises(ShapeError, match="other rows"):
        repair(trained, record, fit_rows[:1])
    keep = UnitMask.full(trained)
    keep.heads[0] = False
    keep.neurons[0] = False
    part = record_parent(extract(trained, keep), fit_rows[:2])
    with pytest.raises(ShapeError, match="parent"):
        repair(trained, part, fit_rows[:2])
    with pytest.raises(ShapeError, match="no rows"):
        record_parent(trained, [])


def test_losses_of_several_sub_models_come_in_order(
    trained: PathwayClassifier, means: UnitMeans, fit_rows: list[Batch], judge_rows: list[Batch]
) -> None:
    masks = [mask_for(trained, shape, fit_rows, means) for shape in ({}, SHAPES["two layers"])]
    record = record_parent(trained, fit_rows)
    worst, best = repaired_losses(trained, masks, record, fit_rows, judge_rows, means=means)
    small = repair(extract(trained, masks[1], means=means), record, fit_rows).model
    assert best == pytest.approx(measure_masked(small, judge_rows).nll_nats, abs=1e-6)
    assert best < worst


def test_a_layer_learns_to_stand_in_for_the_layers_after_it_that_are_gone(
    trained: PathwayClassifier, means: UnitMeans, fit_rows: list[Batch], judge_rows: list[Batch]
) -> None:
    mask = mask_for(trained, SHAPES["two layers"], fit_rows, means)
    small = extract(trained, mask, means=means)
    repaired = repair(small, record_parent(trained, fit_rows), fit_rows).model
    batch = judge_rows[0]
    real = batch.attention_mask.bool()

    def states(model: PathwayClassifier) -> list[torch.Tensor]:
        with torch.no_grad():
            found = model(batch.input_ids, batch.attention_mask, output_hidden_states=True)
        return [state[real] for state in found.hidden_states]

    after_layer_1 = states(trained)[2]
    before, after = ((states(m)[1] - after_layer_1).pow(2).mean() for m in (small, repaired))
    assert after < 0.6 * before
    mine = repaired.encoder.encoder.layer[0].output.LayerNorm.weight
    assert torch.equal(mine, trained.encoder.encoder.layer[1].output.LayerNorm.weight)
