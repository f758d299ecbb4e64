"""Curves of quality while units leave."""

import pytest
import torch

from sparsepath.errors import ConfigError, ShapeError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.units import UnitMask, UnitScores
from sparsepath.pathways.removal import measure_masked, remaining, removal_curves, wilson_ci95
from sparsepath.pathways.scores import score_units
from sparsepath.trace.batches import Batch
from sparsepath.trace.gates import UnitMeans


def test_curves_start_whole_end_empty_and_lie_in_order(
    trained: PathwayClassifier, means: UnitMeans, fit_rows: list[Batch], judge_rows: list[Batch]
) -> None:
    scores = {"gradient": score_units(trained, fit_rows, "gradient", means=means)}
    curves = removal_curves(
        trained,
        judge_rows,
        scores,
        means=means,
        generator=torch.Generator().manual_seed(0),
        fractions=(0.0, 0.3, 0.6, 1.0),
    )
    assert [(c.order, c.method) for c in curves] == [
        ("important-first", "gradient"),
        ("least-first", "gradient"),
        ("random", "draw 1"),
        ("random", "draw 2"),
        ("random", "draw 3"),
    ]
    whole = measure_masked(trained, judge_rows)
    for curve in curves:
        assert curve.points[0].nll_nats == pytest.approx(whole.nll_nats)
        assert curve.points[-1].nll_nats == pytest.approx(curves[0].points[-1].nll_nats)
        assert all(
            p.n == 256 and p.accuracy_ci95[0] <= p.accuracy <= p.accuracy_ci95[1]
            for p in curve.points
        )
    important, least, *chance = (sum(p.nll_nats for p in c.points) for c in curves)
    assert least < min(chance)
    assert important > max(chance)


def test_the_same_share_of_each_kind_leaves_and_ties_go_by_number(
    trained: PathwayClassifier,
) -> None:
    flat = UnitScores(torch.zeros(3, 4), torch.zeros(3, 64))
    left = remaining(trained, flat, 0.25)
    assert int(left.heads.sum()) == 9
    assert int(left.neurons.sum()) == 144
    assert not left.heads[0, :3].any()
    assert not left.neurons[0, :48].any()
    assert remaining(trained, flat, 1.0).n_units == 0


def test_a_measurement_is_that_of_the_model(
    trained: PathwayClassifier, judge_rows: list[Batch]
) -> None:
    quality = measure_masked(trained, judge_rows, UnitMask.full(trained))
    with torch.no_grad():
        logits = [trained(b.input_ids, b.attention_mask).logits for b in judge_rows]
    labels = torch.cat([b.labels for b in judge_rows if b.labels is not None])
    want = torch.nn.functional.cross_entropy(torch.cat(logits), labels)
    assert quality.nll_nats == pytest.approx(float(want), abs=1e-5)
    assert quality.n_right == int((torch.cat(logits).argmax(1) == labels).sum())


def test_wilson_interval_has_its_known_values() -> None:
    assert wilson_ci95(8, 10) == pytest.approx((0.4901624, 0.9433178), abs=1e-6)
    assert wilson_ci95(0, 10) == pytest.approx((0.0, 0.2775328), abs=1e-6)
    assert wilson_ci95(10, 10)[1] == 1.0


def test_bad_fractions_and_rows_are_named(
    trained: PathwayClassifier, judge_rows: list[Batch]
) -> None:
    with pytest.raises(ConfigError, match=r"1\.5"):
        removal_curves(
            trained, judge_rows, {}, means=None, generator=torch.Generator(), fractions=(1.5,)
        )
    with pytest.raises(ShapeError, match="labels"):
        measure_masked(trained, [judge_rows[0]._replace(labels=None)])
    with pytest.raises(ShapeError, match="no rows"):
        measure_masked(trained, [])
