"""Layer combinations: shared work gives what real sub-models give; the table interpolates."""

from itertools import combinations

import numpy as np
import pytest
import torch

from sparsepath.errors import ShapeError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import encoder_layers
from sparsepath.models.surgery import extract
from sparsepath.models.units import UnitMask
from sparsepath.pathways import depths as module
from sparsepath.pathways.depths import DepthTable, measure_depths, measure_masks
from sparsepath.pathways.replay import pooled, run_layer, watch
from sparsepath.trace.batches import Batch


def only_layers(model: PathwayClassifier, kept: tuple[int, ...]) -> UnitMask:
    mask = UnitMask.full(model)
    for layer in range(mask.n_layers):
        if layer not in kept:
            mask.heads[layer] = False
            mask.neurons[layer] = False
    return mask


@pytest.mark.parametrize("kept", [(), (0,), (2,), (0, 2), (1, 2), (0, 1, 2)])
def test_replayed_layers_compute_what_the_extracted_model_computes(
    model: PathwayClassifier, kept: tuple[int, ...], fit_rows: list[Batch]
) -> None:
    replay = watch(model, fit_rows[1])
    hidden = replay.embedded
    with torch.no_grad():
        for layer in kept:
            hidden = run_layer(encoder_layers(model.encoder)[layer], replay.calls[layer], hidden)
        got = pooled(model, replay, hidden)
        small = extract(model, only_layers(model, kept))
        want = small.pool(fit_rows[1].input_ids, fit_rows[1].attention_mask)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_every_combination_is_measured_and_equals_its_extracted_model(
    trained: PathwayClassifier, fit_rows: list[Batch], judge_rows: list[Batch]
) -> None:
    table = measure_depths(trained, fit_rows, judge_rows)
    assert set(table.nll_nats) == {p for k in range(4) for p in combinations(range(3), k)}
    patterns = [(), (1,), (0, 2), (0, 1, 2)]
    losses = measure_masks(
        trained, [only_layers(trained, p) for p in patterns], fit_rows, judge_rows, means=None
    )
    assert [table.nll_nats[p] for p in patterns] == pytest.approx(losses, abs=1e-4)
    assert table.nll_nats[(0, 1, 2)] < table.nll_nats[()]
    assert 0 < table.attention_share < 1


def test_attention_holds_most_where_only_attention_can_solve_the_task(
    trained: PathwayClassifier, fit_rows: list[Batch], judge_rows: list[Batch]
) -> None:
    silent = extract(trained, UnitMask.full(trained))
    with torch.no_grad():
        for layer in encoder_layers(silent.encoder):
            layer.output.dense.weight.zero_()
    assert measure_depths(silent, fit_rows, judge_rows).attention_share > 0.9


def test_a_deep_model_has_a_choice_of_combinations(
    trained: PathwayClassifier,
    fit_rows: list[Batch],
    judge_rows: list[Batch],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = measure_depths(trained, fit_rows[:2], judge_rows[:2])
    monkeypatch.setattr(module, "MAX_EXHAUSTIVE", 2)
    some = measure_depths(trained, fit_rows[:2], judge_rows[:2])
    assert {(), (0,), (0, 1), (0, 1, 2), (0, 2), (1, 2)} <= set(some.nll_nats)
    assert len(some.nll_nats) < len(every.nll_nats)
    for pattern, loss in some.nll_nats.items():
        assert loss == pytest.approx(every.nll_nats[pattern], abs=1e-5)


def table(losses: dict[tuple[int, ...], float], n_layers: int) -> DepthTable:
    return DepthTable(
        nll_nats=losses,
        accuracy=dict.fromkeys(losses, 0.0),
        n=1,
        n_layers=n_layers,
        attention_share=0.5,
    )


def test_interpolation_is_exact_at_corners_and_worth_is_its_slope() -> None:
    made = table({(): 2.0, (0,): 1.5, (1,): 1.8, (0, 1): 0.4}, 2)
    assert made.expected((0, 1), np.array([1.0, 1.0])).nll_nats == pytest.approx(0.4)
    assert made.expected((0,), np.array([1.0, 0.0])).nll_nats == pytest.approx(1.5)
    halves = made.expected((0, 1), np.array([0.5, 0.5]))
    assert halves.nll_nats == pytest.approx((2.0 + 1.5 + 1.8 + 0.4) / 4)
    step = 1e-4
    more = made.expected((0, 1), np.array([0.5 + step, 0.5]))
    assert halves.worth[0] == pytest.approx((halves.nll_nats - more.nll_nats) / step, rel=1e-6)


def test_where_not_everything_is_measured_layers_lose_their_own_worth() -> None:
    made = table({(): 2.0, (0, 1): 0.4, (0,): 1.0}, 2)
    found = made.expected((0, 1), np.array([1.0, 0.5]))
    assert found.worth == pytest.approx([0.8, 0.6])  # (1,) is missing: half of 2.0 - 0.4
    assert found.nll_nats == pytest.approx(0.4 + 0.3)


def test_rows_without_labels_are_refused(trained: PathwayClassifier, fit_rows: list[Batch]) -> None:
    with pytest.raises(ShapeError, match="labels"):
        measure_depths(trained, fit_rows[:1], [fit_rows[0]._replace(labels=None)])
