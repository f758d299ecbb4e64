"""What the report claims of two candidates follows from their intervals."""

import pytest

from sparsepath.artifacts.schema import Candidate
from sparsepath.report import choice


def candidate(
    name: str = "a", accuracy: float = 0.9, latency: float = 1.0, **more: object
) -> Candidate:
    relative = {"speedup": 1.0, "speedup_ci95": (1, 1), "size_ratio": 1, "accuracy_change": 0.0}
    content = {
        "name": name, "kind": "submodel",
        "quality": {"accuracy": accuracy, "accuracy_ci95": (accuracy - 0.01, accuracy + 0.01),
                    "macro_f1": accuracy},
        "cost": {"parameters": 1, "size_bytes": 1, "latency_ms_p50": latency,
                 "latency_ms_p95": latency, "examples_per_second": 1},
        "relative": {**relative, "accuracy_change_ci95": more.pop("interval", None)},
    }  # fmt: skip
    return Candidate.model_validate({**content, **more})


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [((-0.02, -0.001), "worse"), ((-0.02, 0.001), "unclear"), ((0.001, 0.02), "better")],
)
def test_the_verdict_depends_on_where_zero_is(interval: tuple[float, float], verdict: str) -> None:
    found = choice.against_full(candidate(interval=interval))
    assert found is not None
    assert found.verdict == verdict


def test_two_accuracies_with_wide_intervals_are_not_told_apart() -> None:
    assert choice.unpaired(candidate(accuracy=0.905), candidate(accuracy=0.9)).verdict == "unclear"
    assert choice.unpaired(candidate(accuracy=0.95), candidate(accuracy=0.9)).verdict == "better"


@pytest.mark.parametrize(
    ("more", "group"),
    [
        ({"kind": "full", "name": "full"}, "full"),
        ({"kind": "full", "precision": "int8"}, "plain"),
        ({"precision": "int8"}, "int8"),
        ({"kind": "control", "name": "tfidf-lr"}, "plain"),
        ({"control": True, "name": "random-3"}, "check"),
        ({"control": True, "name": "scratch-1ms"}, "check"),
        ({"kind": "dynamic"}, "dynamic"),
    ],
)
def test_candidates_are_sorted_into_groups(more: dict[str, object], group: str) -> None:
    assert choice.group_of(candidate(**more)) == group


def test_the_pareto_line_without_marks_leaves_out_what_is_beaten_and_controls() -> None:
    items = [
        candidate("slow", 0.93, 3.0),
        candidate("beaten", 0.89, 2.0),
        candidate("fast", 0.90, 1.0),
        candidate("control", 0.99, 0.1, control=True),
    ]
    assert [item.name for item in choice.pareto(items)] == ["fast", "slow"]


def test_marks_of_the_run_win_over_our_own_line() -> None:
    items = [candidate("a", 0.9, 2.0, pareto=True), candidate("b", 0.95, 1.0)]
    assert [item.name for item in choice.pareto(items)] == ["a"]
