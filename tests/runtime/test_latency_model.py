"""Predicted latencies follow the measured ones and never fall as a model grows."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.describe import describe
from sparsepath.runtime import latency_model as module
from sparsepath.runtime.latency_model import (
    LatencyModel,
    at_present_speed,
    cut_to_shape,
    fit_latency,
    timed_shapes,
)

FULL = [(4, 40)] * 3
SHAPES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 1536)), max_size=6)
STEPPED = LatencyModel(
    fixed_ms=0.02,
    layer_ms=0.005,
    attention_ms=0.01,
    head_ms=0.003,
    mlp_ms=0.004,
    neuron_ms=0.0001,
    knots_ms=(1e-7, 2e-7),
    knots_bytes=(1e6, 8e6),
    head_bytes=196_608,
    neuron_bytes=3072,
    tokens=16.0,
    threads=1,
    fit_error=0.0,
)


def test_a_prediction_is_the_sum_of_its_parts() -> None:
    assert STEPPED.predict_ms([]) == pytest.approx(0.02)
    assert STEPPED.predict_ms([(0, 0)]) == pytest.approx(0.025)
    assert STEPPED.predict_ms([(2, 100)]) == pytest.approx(0.02 + 0.019 + 0.006 + 0.01)
    n_bytes = 12 * 196_608 + 2560 * 3072
    parts = 0.02 + 2 * 0.019 + 0.036 + 0.256
    steps = (n_bytes - 1e6) * 1e-7 + (n_bytes - 8e6) * 2e-7
    assert STEPPED.predict_ms([(6, 1280), (6, 1280)]) == pytest.approx(parts + steps)


@settings(max_examples=100, deadline=None)
@given(shape=SHAPES, more=st.tuples(st.integers(0, 3), st.integers(0, 300)), data=st.data())
def test_a_larger_model_is_never_predicted_to_be_faster(
    shape: list[tuple[int, int]], more: tuple[int, int], data: st.DataObject
) -> None:
    larger = [*shape, more]
    place = data.draw(st.integers(0, len(shape)))
    heads, neurons = larger[place]
    larger[place] = (heads + more[0], neurons + more[1])
    assert STEPPED.predict_ms(larger) >= STEPPED.predict_ms(shape) - 1e-12


def test_the_fit_finds_a_cost_that_has_the_models_form(bert: PathwayClassifier) -> None:
    weights = describe(bert)
    shapes = timed_shapes(FULL, np.random.default_rng(0), n_random=30)

    def true_ms(shape: module.Shape) -> float:
        return 0.02 + sum(0.03 * (h > 0) + 0.01 * h + 0.02 * (m > 0) + 0.001 * m for h, m in shape)

    measured = np.array([true_ms(shape) for shape in shapes])
    found = module._fit(weights, shapes, measured, 10.0, 1)
    for shape in ([], [(1, 8)], [(0, 40), (3, 0)], FULL):
        assert found.predict_ms(shape) == pytest.approx(true_ms(shape), rel=0.02)
    assert found.fit_error < 0.01


def test_timed_shapes_fit_into_the_parent_and_differ() -> None:
    full = [(12, 1536)] * 6
    shapes = timed_shapes(full, np.random.default_rng(0))
    assert [] in shapes
    assert full in shapes
    assert len({tuple(shape) for shape in shapes}) == len(shapes) >= 20
    for shape in shapes:
        assert len(shape) <= 6
        assert all(0 <= heads <= 12 and 0 <= neurons <= 1536 for heads, neurons in shape)


def test_a_parent_without_layers_has_one_shape() -> None:
    assert timed_shapes([], np.random.default_rng(0)) == [[]]


def test_cutting_to_a_shape_gives_it(bert: PathwayClassifier) -> None:
    cut = cut_to_shape(describe(bert), [(2, 8), (0, 0)])
    assert cut.shape == [(2, 8), (0, 0)]
    assert cut.layers[0].attention.query.weight.shape == (32, 16)
    assert cut.layers[0].mlp.output.weight.shape == (8, 32)


def test_a_real_fit_orders_models_by_size_and_adds_tokenization(
    bert: PathwayClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So small that every graph is a group of its own: grouping must not lose or reorder shapes.
    monkeypatch.setattr(module, "GROUP_BYTES", 1)
    places: set[int] = set()

    def tokenize(place: int) -> None:
        places.add(place)
        time.sleep(0.002)

    found = fit_latency(describe(bert), [5, 9, 200], tokenize=tokenize, budget_s=0.3)
    assert places == {0, 1, 2}
    assert found.fixed_ms > 2.0
    assert found.tokens <= 24
    assert 2.0 < found.predict_ms([]) < found.predict_ms(FULL) < 50.0


def test_a_parent_without_layers_can_be_fitted(bert: PathwayClassifier) -> None:
    weights = cut_to_shape(describe(bert), [])
    assert fit_latency(weights, [5], budget_s=0.05).predict_ms([]) > 0


def test_a_prediction_follows_the_drift_of_models_timed_beside_it() -> None:
    anchors = [(0.02, 0.03), (4.0, 4.0)]
    assert at_present_speed(0.02, anchors) == pytest.approx(0.03)
    assert at_present_speed(4.0, anchors) == pytest.approx(4.0)
    middle = (0.02 * 4.0) ** 0.5
    assert at_present_speed(middle, anchors) == pytest.approx(middle * 1.5**0.5)
    assert at_present_speed(8.0, anchors) == pytest.approx(8.0)
    assert at_present_speed(2.0, [(4.0, 5.0)]) == pytest.approx(2.5)
