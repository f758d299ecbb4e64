"""Figures of a neuron are what they are called."""

import numpy as np
import pytest

from sparsepath.concepts.events import Events
from sparsepath.concepts.examples import examples
from sparsepath.concepts.meaning import meaning_clusters
from sparsepath.concepts.recorded import Recorded
from sparsepath.concepts.statistics import statistics
from sparsepath.concepts.together import Patterns

TOKENS = np.array([[1, 2, 3, 3], [1, 1, 2, 3], [4, 4, 4, 4]], np.uint16)


def text(tokens: np.ndarray = TOKENS, n: int = 6) -> Recorded:  # type: ignore[type-arg]
    """Rows of which the last is held out."""
    held_out = np.arange(len(tokens)) == len(tokens) - 1
    counts = np.bincount(tokens[~held_out].reshape(-1), minlength=n)
    return Recorded(
        tokens=tokens, held_out=held_out, pieces=[b"x"] * n, counts=counts.astype(np.int64)
    )


def events(places: list[int], values: list[float]) -> Events:
    return Events(0, np.array(places, np.int64), np.array(values, np.float32))


def test_entropies_are_those_of_tokens_and_of_meanings() -> None:
    found = statistics(
        events([0, 1, 4, 6], [1, 2, 3, 4]), text(), np.array([0, 1, 2, 2] * 3, np.uint8), 3
    )
    assert found.fired == 4
    assert found.rate == 0.5
    assert found.mean == 2.5
    assert found.token_entropy == pytest.approx(1.0)  # 1, 2, 1, 2
    assert found.semantic_entropy == pytest.approx(1.5)  # 0, 1, 0, 2
    assert sum(found.histogram) == 4
    assert found.bounds == (1.0, 4.0)


def test_tokens_are_ordered_by_lift_as_well_as_by_count() -> None:
    found = statistics(events([0, 1, 4, 6], [1] * 4), text(), np.zeros(12, np.uint8), 1)
    # Token 2 is half of the firings and a quarter of the text, token 1 half and three eighths.
    assert [t.token for t in found.tokens] == [2, 1]
    assert found.tokens[0].lift == pytest.approx(2.0)
    assert found.tokens[0].precision == 1.0
    assert found.tokens[1].precision == pytest.approx(2 / 3)


def test_events_of_held_out_rows_are_left_out() -> None:
    assert text().finding(events([0, 9], [1, 5])).values.tolist() == [1.0]


def test_examples_come_from_their_bands_and_from_different_rows() -> None:
    n_rows, length = 1000, 8
    tokens = np.zeros((n_rows + 1, length), np.uint16)
    places = np.arange(n_rows) * length + 3
    values = np.linspace(100, 1, n_rows)
    found = examples(events(places.tolist(), values.tolist()), text(tokens))
    by_band: dict[str, list[float]] = {}
    for one in found:
        by_band.setdefault(one.band, []).append(one.value)
        assert one.at == 3
        assert one.values[3] == np.float16(one.value)
        assert (one.values != 0).sum() == 1
    rank = {band: [round((100 - v) / 99 * 999) for v in some] for band, some in by_band.items()}
    assert rank["top"] == [0, 1, 2, 3, 4, 5]
    assert rank["1%"] == [10, 11]
    assert rank["10%"] == [100, 101, 102]
    assert rank["50%"] == [500, 501, 502]


def test_contexts_of_two_topics_are_two_meanings() -> None:
    draw = np.random.default_rng(0)
    rows = np.concatenate([draw.integers(0, 5, (60, 20)), draw.integers(5, 10, (60, 20))])
    embedding = np.eye(10, dtype=np.float32)
    embedding[:5, 0] += 3
    embedding[5:, 9] += 3
    clusters, n = meaning_clusters(text(rows.astype(np.uint16), 10), embedding)
    by_row = clusters.reshape(rows.shape)
    assert 2 <= n <= 64
    assert not set(by_row[:60].ravel()) & set(by_row[60:].ravel())


def test_neurons_that_fire_together_are_found() -> None:
    patterns = Patterns(100)
    for number, places in enumerate(([1, 5, 9, 20], [1, 5, 9, 40], [50, 60, 70, 80])):
        patterns.add(Events(number, np.array(places), np.ones(4, np.float32)))
    together = patterns.together()
    assert [(t.neuron, t.jaccard) for t in together[0]] == [(1, pytest.approx(3 / 5))]
    assert together[2] == []
