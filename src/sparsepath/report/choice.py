"""Which candidates the report speaks about, and what may be said of two of them.

A control is either *plain*, what someone would use instead of this product (TF-IDF, the frozen
encoder, the full model in int8), or a *check* of the method (random sub-models, dropped layers,
the same shape trained from scratch).
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from sparsepath.artifacts.base import Interval
from sparsepath.artifacts.schema import Candidate, Results

Group = Literal["full", "submodel", "int8", "dynamic", "topk", "ensemble", "plain", "check"]
Verdict = Literal["worse", "unclear", "better"]

_CHECK_WORDS = ("random", "drop", "scratch", "first-layers", "truncat")
_Z95 = 1.959964
_INTERVAL_COVERAGE = 2 * _Z95


class Difference(NamedTuple):
    """Accuracy of one model minus that of another."""

    change: float
    interval: Interval
    verdict: Verdict
    """`unclear` when the interval holds zero."""


def group_of(candidate: Candidate) -> Group:
    """The family a candidate is drawn and named with."""
    if candidate.is_control:
        name = candidate.name.lower()
        return "check" if any(word in name for word in _CHECK_WORDS) else "plain"
    if candidate.kind == "control":
        return "plain"
    if candidate.kind == "submodel" and candidate.precision == "int8":
        return "int8"
    if candidate.kind == "full" and candidate.precision == "int8":
        return "plain"
    return candidate.kind


def full_model(candidates: Sequence[Candidate]) -> Candidate | None:
    """The model that all others are compared with."""
    return next((item for item in candidates if group_of(item) == "full"), None)


def recommended(results: Results | None) -> Candidate | None:
    """The recommended candidate, when the run came that far."""
    if results is None or results.recommended is None:
        return None
    return results.candidate(results.recommended.name)


def plain_controls(candidates: Sequence[Candidate]) -> list[Candidate]:
    """What someone would use instead, the most accurate first."""
    plain = [item for item in candidates if group_of(item) == "plain"]
    return sorted(plain, key=lambda item: (-item.quality.accuracy, item.cost.latency_ms_p50))


def pareto(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that none beats on both latency and accuracy, fastest first.

    Uses the run's own marks; without any it works them out from the candidates that are no
    controls.
    """
    marked = [item for item in candidates if item.pareto]
    pool = marked or [item for item in candidates if not item.is_control]
    front: list[Candidate] = []
    for item in sorted(pool, key=lambda c: (c.cost.latency_ms_p50, -c.quality.accuracy)):
        if marked or not front or item.quality.accuracy > front[-1].quality.accuracy:
            front.append(item)
    return front


def against_full(candidate: Candidate) -> Difference | None:
    """Paired difference to the full model; None where no interval was measured."""
    interval = candidate.relative.accuracy_change_ci95
    if interval is None:
        return None
    return Difference(candidate.relative.accuracy_change, interval, _verdict(interval))


class Pace(NamedTuple):
    """How fast a candidate answers, against the full model."""

    now_ms: float
    before_ms: float | None
    ratio: float
    interval: Interval | None
    is_mean: bool
    """Means instead of medians: for candidates whose work differs from text to text."""


def pace(candidate: Candidate, full: Candidate | None) -> Pace:
    """Median latency and its measured ratio; for dynamic candidates means and their ratio.

    The median of a dynamic candidate is that of its light path alone and would flatter it.
    """
    now, before = candidate.cost.latency_ms_mean, full.cost.latency_ms_mean if full else None
    if candidate.kind == "dynamic" and now and before:
        return Pace(now, before, before / now, None, is_mean=True)
    relative = candidate.relative
    median = full.cost.latency_ms_p50 if full else None
    return Pace(
        candidate.cost.latency_ms_p50,
        median,
        relative.speedup,
        relative.speedup_ci95,
        is_mean=False,
    )


def latency_ms(candidate: Candidate) -> float:
    """The one latency to show: the mean of dynamic candidates, else the median."""
    return pace(candidate, candidate).now_ms


def unpaired(first: Candidate, second: Candidate) -> Difference:
    """Difference of two accuracies from their own intervals, as if the rows differed.

    Wider than a paired interval on the same rows, so it says "unclear" rather too often.
    """
    change = first.quality.accuracy - second.quality.accuracy
    spread = math.hypot(_standard_error(first), _standard_error(second)) * _Z95
    interval = (change - spread, change + spread)
    return Difference(change, interval, _verdict(interval))


def _standard_error(candidate: Candidate) -> float:
    low, high = candidate.quality.accuracy_ci95
    return (high - low) / _INTERVAL_COVERAGE


def _verdict(interval: Interval) -> Verdict:
    low, high = interval
    return "worse" if high < 0 else "better" if low > 0 else "unclear"
