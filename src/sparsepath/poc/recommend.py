"""Which candidate to take, by a rule that was written down before anything was measured."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sparsepath.artifacts.schema import Candidate, Recommended
from sparsepath.config import PocOptions

POINT = 0.01
"""Accuracy that may be lost when no constraint is given: 1 point."""

CERTAINTY = 1.28
"""Standard errors that chance may have flattered a candidate by: 90 % on one side."""

SAME_LABELS = 0.99
"""A candidate that gives the full model's label on so many rows loses a point there at most; with
few rows this is known better than an accuracy."""


class Judged(NamedTuple):
    """How a candidate compares with the full model on validation rows."""

    error: float = 0.0
    """Standard error of the difference in accuracy."""
    same_labels: float = 0.0
    """Share of rows with the full model's label."""


def mark_pareto(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Mark candidates that no other beats in both latency and accuracy; controls never are."""
    open_ones = [c for c in candidates if not c.is_control]
    marked = []
    for candidate in candidates:
        is_pareto = not candidate.is_control and not any(
            other.quality.accuracy >= candidate.quality.accuracy
            and other.cost.latency_ms_mean <= candidate.cost.latency_ms_mean
            and (
                other.quality.accuracy > candidate.quality.accuracy
                or other.cost.latency_ms_mean < candidate.cost.latency_ms_mean
            )
            for other in open_ones
            if other.cost.latency_ms_mean is not None and candidate.cost.latency_ms_mean is not None
        )
        marked.append(candidate.model_copy(update={"pareto": is_pareto}))
    return marked


def recommend(
    candidates: Sequence[Candidate],
    options: PocOptions,
    *,
    judged: Mapping[str, Judged] | None = None,
) -> Recommended:
    """Choose one candidate.

    Without constraints: the smallest latency that is surely within one point of the full model on
    validation rows. Sure is what stays within it even if chance flattered it (the best of many
    candidates on a thousand rows is usually a lucky one), or hardly ever says anything else than
    the full model. With constraints: among those that meet them, the
    most accurate when a latency or a size is given, else the fastest. The choice looks at
    validation accuracy, so that the test accuracy of what is recommended stays an honest figure.

    Args:
        candidates: All of them, the full model among them; controls are passed over.
        options: The constraints.
        judged: How sure the difference to the full model is, by name; where it is not given, the
            accuracies are taken for the truth.
    """
    judged = judged or {}
    open_ones = [c for c in candidates if not c.is_control]
    full = next(c for c in open_ones if c.name == "full")
    has_target = options.target_latency_ms is not None or options.target_size_mb is not None
    meeting = [c for c in open_ones if _meets(c, options)]
    if has_target or options.min_accuracy is not None:
        return _constrained(meeting, open_ones, options, has_target=has_target)
    least = _valid(full) - POINT
    fit = [c for c in open_ones if _is_sure(c, judged.get(c.name, Judged()), least)] or [full]
    best = min(fit, key=lambda c: (_latency(c), c.name))
    return Recommended(
        name=best.name,
        rule="smallest latency with accuracy within 1 point of full",
        why=f"{len(fit)} of {len(open_ones)} candidates are surely within 1 point of the full "
        f"model by the validation rows; of these {best.name} answers fastest",
    )


def _is_sure(candidate: Candidate, judged: Judged, least: float) -> bool:
    """Say whether a candidate reaches an accuracy, chance taken off."""
    if candidate.name == "full" or judged.same_labels >= SAME_LABELS:
        return True
    return _valid(candidate) - CERTAINTY * judged.error >= least


def _constrained(
    meeting: list[Candidate], all_of_them: list[Candidate], options: PocOptions, *, has_target: bool
) -> Recommended:
    """Choose under constraints; the nearest candidate when none meets them."""
    rule = "; ".join(_rules(options))
    if not meeting:
        nearest = min(all_of_them, key=_latency) if has_target else max(all_of_them, key=_valid)
        return Recommended(
            name=nearest.name,
            rule=rule,
            why=f"no candidate meets this; {nearest.name} comes nearest",
        )
    if has_target:
        best = max(meeting, key=lambda c: (_valid(c), -_latency(c)))
        why = f"{len(meeting)} candidates meet this; {best.name} is the most accurate of them"
    else:
        best = min(meeting, key=lambda c: (_latency(c), c.name))
        why = f"{len(meeting)} candidates meet this; {best.name} is the fastest of them"
    return Recommended(name=best.name, rule=rule, why=why + " (judged on the validation rows)")


def _rules(options: PocOptions) -> list[str]:
    """Say the constraints."""
    rules = []
    if options.target_latency_ms is not None:
        rules.append(f"median latency at most {options.target_latency_ms:g} ms")
    if options.target_size_mb is not None:
        rules.append(f"size at most {options.target_size_mb:g} MB")
    if options.min_accuracy is not None:
        rules.append(f"accuracy on validation rows at least {options.min_accuracy:g}")
    return rules


def _meets(candidate: Candidate, options: PocOptions) -> bool:
    """Say whether a candidate meets every constraint that was given."""
    cost = candidate.cost
    too_slow = options.target_latency_ms is not None and (
        cost.latency_ms_p50 > options.target_latency_ms
    )
    too_big = options.target_size_mb is not None and (
        cost.size_bytes > options.target_size_mb * 1e6
    )
    too_wrong = options.min_accuracy is not None and _valid(candidate) < options.min_accuracy
    return not (too_slow or too_big or too_wrong)


def _valid(candidate: Candidate) -> float:
    """Accuracy on validation rows; 0 where it was not measured."""
    return candidate.quality.accuracy_valid or 0.0


def _latency(candidate: Candidate) -> float:
    """Mean latency, which is what a mix of texts costs."""
    mean = candidate.cost.latency_ms_mean
    return candidate.cost.latency_ms_p50 if mean is None else mean
