"""The recommendation follows its rule, judged on validation rows, and never names a control."""

from pathlib import Path

import pytest

from sparsepath.artifacts.schema import Candidate, Cost, Quality, Relative
from sparsepath.config import PocOptions
from sparsepath.poc.recommend import Judged, mark_pareto, recommend


def candidate(
    name: str,
    ms: float,
    valid: float,
    *,
    size: int = 100,
    kind: str = "submodel",
    test: float | None = None,
) -> Candidate:
    """Make a candidate of which only the named figures matter."""
    return Candidate(
        name=name,
        kind=kind,  # type: ignore[arg-type]
        folder=None,
        quality=Quality(
            accuracy=valid if test is None else test,
            accuracy_ci95=(0.0, 1.0),
            macro_f1=0.5,
            accuracy_valid=valid,
        ),
        cost=Cost(
            parameters=1,
            size_bytes=size,
            latency_ms_p50=ms,
            latency_ms_p95=ms,
            latency_ms_mean=ms,
            examples_per_second=1000 / ms,
        ),
        relative=Relative(
            speedup=1.0, speedup_ci95=(1.0, 1.0), size_ratio=1.0, accuracy_change=0.0
        ),
        control=kind == "control",
    )


CANDIDATES = [
    candidate("full", 8.0, 0.930, kind="full", size=90_000_000),
    candidate("mid", 2.0, 0.925, size=20_000_000),
    candidate("light", 0.5, 0.900, size=5_000_000),
    candidate("worse", 3.0, 0.910, size=30_000_000),
    candidate("tf-idf", 0.3, 0.929, kind="control"),
]


def options(**changes: float) -> PocOptions:
    """Give options with some constraints."""
    return PocOptions(data=None, out=Path("x"), **changes)  # type: ignore[arg-type]


def test_without_constraints_the_fastest_within_one_point_wins() -> None:
    found = recommend(CANDIDATES, options())
    assert found.name == "mid"
    assert found.rule == "smallest latency with accuracy within 1 point of full"


def test_a_candidate_that_chance_may_have_flattered_is_passed_over() -> None:
    # It lies half a point below the full model, so half a point may be chance.
    assert recommend(CANDIDATES, options(), judged={"mid": Judged(0.0039)}).name == "mid"
    assert recommend(CANDIDATES, options(), judged={"mid": Judged(0.004)}).name == "full"


def test_a_candidate_that_says_what_the_full_model_says_is_safe_however_few_the_rows() -> None:
    few = {"mid": Judged(0.05, 0.991), "light": Judged(0.05, 0.985)}
    assert recommend(CANDIDATES, options(), judged=few).name == "mid"
    fewer = {"mid": Judged(0.05, 0.989), "light": Judged(0.05, 0.985)}
    assert recommend(CANDIDATES, options(), judged=fewer).name == "full"


def test_test_accuracy_does_not_decide() -> None:
    tempting = candidate("lucky", 0.4, 0.80, test=0.99)
    assert recommend([*CANDIDATES, tempting], options()).name == "mid"


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ({"target_latency_ms": 1.0}, "light"),
        ({"target_size_mb": 25.0}, "mid"),
        ({"min_accuracy": 0.905}, "mid"),
        ({"min_accuracy": 0.85}, "light"),
        ({"target_latency_ms": 1.0, "min_accuracy": 0.91}, "light"),
    ],
)
def test_constraints_choose(constraint: dict[str, float], expected: str) -> None:
    assert recommend(CANDIDATES, options(**constraint)).name == expected


def test_a_constraint_that_nothing_meets_is_said() -> None:
    found = recommend(CANDIDATES, options(target_latency_ms=0.01))
    assert found.name == "light"
    assert "no candidate meets this" in found.why


def test_the_pareto_line_leaves_out_what_is_beaten_and_controls() -> None:
    marked = {c.name: c.pareto for c in mark_pareto(CANDIDATES)}
    assert marked == {"full": True, "mid": True, "light": True, "worse": False, "tf-idf": False}
