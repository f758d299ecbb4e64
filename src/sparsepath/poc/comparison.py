"""What the report shows of answers: labels, confusion, flips, calibration, the dynamic ones."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sparsepath.artifacts import analysis as report
from sparsepath.artifacts.answer_mix import mix_of
from sparsepath.artifacts.answers import ANSWERS_FILE, AnsweredRow, write_answers
from sparsepath.artifacts.schema import Candidate
from sparsepath.evaluate.cost import Latency
from sparsepath.evaluate.quality import (
    calibration_bins,
    confusion_matrix,
    coverage_curve,
    is_right,
    per_label,
)
from sparsepath.poc.analysis import update_analysis
from sparsepath.poc.controls import CONTROL_NOTES
from sparsepath.poc.dynamic import StaticLine
from sparsepath.poc.workspace import Workspace

MAX_FLIPS = 40
"""Rows answered differently from the full model that the report shows."""


class Answered(NamedTuple):
    """What every candidate said about the test rows."""

    probabilities: dict[str, Float[np.ndarray, "rows labels"]]
    """By candidate."""
    truth: Int[np.ndarray, " rows"]
    """Class indices."""
    positions: list[int]
    """Where the rows are in `work.test`."""
    stages: dict[str, Int[np.ndarray, " rows"]]
    """Which stage answered, by candidate."""


def write_comparison(
    work: Workspace,
    candidates: list[Candidate],
    answered: Answered,
    latency: Mapping[str, Latency],
    recommended: str,
) -> None:
    """Write everything about answers that the report shows, and all answers for the page."""
    names = work.label_names
    write_answers(
        work.folder / ANSWERS_FILE,
        names,
        [AnsweredRow(work.test.row_ids[p], work.test.texts[p]) for p in answered.positions],
        answered.truth,
        answered.probabilities,
    )
    shown = [c.name for c in candidates if c.pareto or c.name in {"full", recommended}]
    update_analysis(
        work.folder,
        per_label={
            name: [
                report.LabelQuality(
                    label=names[row.label],
                    n=row.n,
                    precision=row.precision,
                    recall=row.recall,
                    f1=row.f1,
                )
                for row in per_label(answered.probabilities[name], answered.truth)
            ]
            for name in shown
        },
        confusion={
            name: report.Confusion(
                labels=names,
                matrix=confusion_matrix(answered.probabilities[name], answered.truth).tolist(),
            )
            for name in shown
        },
        mixes={name: mix_of(found) for name, found in answered.probabilities.items()},
        flips={name: _flips(work, name, answered) for name in shown if name != "full"},
        calibration={
            name: report.Calibration(
                bins=[
                    report.CalibrationBin(**row._asdict())
                    for row in calibration_bins(answered.probabilities[name], answered.truth)
                ],
                coverage=[
                    report.CoveragePoint(**row._asdict())
                    for row in coverage_curve(answered.probabilities[name], answered.truth)
                ],
            )
            for name in shown
        },
        latency_fit=[
            report.LatencyFit(
                name=c.name,
                predicted_ms=c.cost.latency_ms_predicted,
                measured_ms=c.cost.latency_ms_p50,
            )
            for c in candidates
            if c.kind == "submodel" and c.cost.latency_ms_predicted is not None
        ],
        dynamic=_dynamic(work, candidates, answered, latency),
        controls_note=CONTROL_NOTES,
    )


def _flips(work: Workspace, name: str, answered: Answered) -> list[report.Flip]:
    """List test rows that a candidate answers differently from the full model."""
    ours = answered.probabilities[name].argmax(axis=1)
    full = answered.probabilities["full"].argmax(axis=1)
    labels = work.label_names
    return [
        report.Flip(
            row_id=work.test.row_ids[answered.positions[i]],
            text=work.test.texts[answered.positions[i]][:300],
            truth=labels[int(answered.truth[i])],
            full=labels[int(full[i])],
            candidate=labels[int(ours[i])],
        )
        for i in np.flatnonzero(ours != full)[:MAX_FLIPS]
    ]


def _dynamic(
    work: Workspace,
    candidates: list[Candidate],
    answered: Answered,
    latency: Mapping[str, Latency],
) -> list[report.DynamicReport]:
    """Compare candidates that choose per text with the static line at equal mean latency.

    The line is that of the single models in the same precision.
    """
    found = []
    for candidate in candidates:
        if candidate.kind != "dynamic":
            continue
        static = [
            c
            for c in candidates
            if c.kind in {"full", "submodel"} and c.precision == candidate.precision
        ]
        line = StaticLine([(latency[c.name].mean_ms, c.quality.accuracy) for c in static])
        draft = work.state.draft(candidate.name)
        mean_ms = latency[candidate.name].mean_ms
        at_equal = line.accuracy_at(mean_ms)
        right = is_right(answered.probabilities[candidate.name], answered.truth)
        beside = line.mixture(mean_ms)
        expected = np.zeros(len(right))
        for point, share in beside:
            name = next(
                c.name for c in static if (latency[c.name].mean_ms, c.quality.accuracy) == point
            )
            expected += share * is_right(answered.probabilities[name], answered.truth)
        gap = right - expected
        half = 1.96 * float(gap.std()) / len(gap) ** 0.5
        difference = candidate.quality.accuracy - at_equal
        stages = answered.stages[candidate.name]
        found.append(
            report.DynamicReport(
                name=candidate.name,
                kind="early-exit" if candidate.name == "early-exit" else "cascade",
                mean_latency_ms=mean_ms,
                accuracy=candidate.quality.accuracy,
                static_accuracy_at_equal_latency=at_equal,
                difference=difference,
                difference_ci95=(difference - half, difference + half),
                stage_share=[
                    float((stages == number).mean()) for number in range(len(draft.stages))
                ],
                thresholds=draft.thresholds,
            )
        )
    return found
