"""Time is shared out by weight, and what one stage saves or overruns is the others'."""

import pytest

from sparsepath.poc.plan import LEAST_S, MOST_S, RESERVE_SHARE, STAGE_WEIGHTS, TimePlan


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        """Start at some moment."""
        self.now = 1000.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


def test_the_first_stage_gets_its_weight_of_all_time() -> None:
    plan = TimePlan(1000.0, 0.0, Clock())
    spare_s = 1000 * (1 - RESERVE_SHARE) - sum(LEAST_S.values())
    expected = spare_s * STAGE_WEIGHTS["read"] / sum(STAGE_WEIGHTS.values())
    assert plan.budget_s("read") == pytest.approx(expected)


def test_a_short_run_leaves_the_last_stages_their_least() -> None:
    clock = Clock()
    plan = TimePlan(30.0, 0.0, clock)
    for stage in STAGE_WEIGHTS:
        assert plan.budget_s(stage) >= LEAST_S.get(stage, 0.0)
        clock.now += plan.budget_s(stage)
    assert plan.used_s == pytest.approx(30 * (1 - RESERVE_SHARE))


def test_stages_that_use_just_their_time_end_with_the_reserve() -> None:
    clock = Clock()
    plan = TimePlan(1000.0, 0.0, clock)
    for stage in STAGE_WEIGHTS:
        clock.now += plan.budget_s(stage)
    assert plan.used_s == pytest.approx(1000 * (1 - RESERVE_SHARE))
    assert plan.left_s == pytest.approx(0.0)


def test_saved_time_goes_to_later_stages() -> None:
    clock = Clock()
    plan = TimePlan(1000.0, 0.0, clock)
    before = plan.budget_s("report")
    clock.now += plan.budget_s("read") / 2
    plain = TimePlan(1000.0, plan.budget_s("read"), Clock())
    assert plan.budget_s("full") > plain.budget_s("full")
    assert before >= 0


def test_an_overrun_leaves_later_stages_nothing_below_zero() -> None:
    plan = TimePlan(100.0, 500.0, Clock())
    assert plan.budget_s("distil") == 0.0


def test_a_long_run_gives_training_what_the_last_stages_do_not_need() -> None:
    plan = TimePlan(7200.0, 0.0, Clock())
    for stage, most in MOST_S.items():
        assert plan.budget_s(stage) == pytest.approx(most)
    spare_s = plan.left_s - sum(LEAST_S.values())
    usual = spare_s * STAGE_WEIGHTS["full"] / sum(STAGE_WEIGHTS.values())
    assert plan.budget_s("full") > usual * 1.1
    assert sum(plan.budget_s(stage) for stage in MOST_S) < 0.09 * 7200
