"""Figures over many explanations: shares of summed margins, with intervals."""

import pytest

from sparsepath.errors import ConfigError
from sparsepath.evaluate.faithfulness import faithfulness
from sparsepath.pathways.explain import Explanation
from sparsepath.pathways.explain_check import ExplanationTest, Verdict, verdict_of


def row(margin: float, nothing: float, kept: float, chance: float = 0.1) -> Explanation:
    return Explanation(
        text="t",
        predicted="a",
        runner_up="b",
        target="a",
        against="b",
        probability=0.8,
        margin=margin,
        tokens=[],
        n_tokens_cut=0,
        units=[],
        n_units=100,
        n_units_kept=10,
        share_units_kept=0.1,
        n_units_enough=None,
        edges=[],
        test=ExplanationTest(
            margin_kept=kept,
            margin_kept_raw=kept,
            margin_when_removed=-0.5,
            margin_of_nothing=nothing,
            confidence_kept=0.7,
            confidence_removed=0.01,
            random_margin_kept=[chance, chance + 0.2],
            random_confidence_kept=[0.1, 0.1],
            random_margin_when_removed=[0.8, 0.9],
        ),
    )


def test_shares_weigh_rows_by_what_units_do() -> None:
    found = faithfulness([row(4.0, 0.0, 1.0), row(1.0, 0.0, 0.0)])
    assert found.margin_kept.value == pytest.approx(0.8)
    assert found.rows_kept == 0.5
    assert found.random_margin_kept.value == pytest.approx(0.2)
    assert found.n == 2
    assert found.n_random == 2


def test_overshooting_earns_nothing() -> None:
    found = faithfulness([row(1.0, 0.0, 5.0), row(1.0, 0.0, 0.5)])
    assert found.margin_kept.value == pytest.approx(0.75)
    assert found.margin_kept_uncapped.value == pytest.approx(2.75)


def test_where_units_lower_the_margin_lowering_it_less_earns_nothing() -> None:
    # All units take the margin from 2 to 1; the pathway alone leaves it at 2: nothing is kept.
    found = faithfulness([row(1.0, 2.0, 0.0), row(5.0, 0.0, 1.0)])
    assert found.margin_kept.value == pytest.approx((0.0 - 1.0 + 5.0) / 4.0)


def test_intervals_hold_the_value_and_shrink_with_rows() -> None:
    few = faithfulness([row(1.0, 0.0, k / 10) for k in range(10)])
    many = faithfulness([row(1.0, 0.0, k % 10 / 10) for k in range(200)])
    for found in (few, many):
        low, high = found.margin_kept.ci95
        assert low < found.margin_kept.value < high
    assert many.margin_kept.ci95[1] - many.margin_kept.ci95[0] < 0.5 * (
        few.margin_kept.ci95[1] - few.margin_kept.ci95[0]
    )


def test_nothing_to_sum_up_is_named() -> None:
    with pytest.raises(ConfigError, match="0 explanations"):
        faithfulness([])


@pytest.mark.parametrize(
    ("kept", "chance", "verdict"),
    [
        (0.95, 0.1, "good"),
        (1.4, 0.1, "good"),
        (3.85, 0.1, "weak"),
        (0.8, 0.1, "weak"),
        (1.0, 0.5, "weak"),
    ],
)
def test_an_explanation_holds_only_where_the_pathway_keeps_what_there_is(
    kept: float, chance: float, verdict: Verdict
) -> None:
    told = row(2.0, 0.0, kept, chance)
    assert verdict_of(told.margin, told.test) == verdict
