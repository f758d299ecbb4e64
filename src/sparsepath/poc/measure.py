"""Eighth stage: quality on test rows and cost in one engine, for every candidate."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sparsepath.artifacts import analysis as report
from sparsepath.artifacts.schema import (
    Candidate,
    Cost,
    DataSummary,
    Quality,
    Relative,
    Results,
    Shape,
)
from sparsepath.artifacts.store import write_json_atomic
from sparsepath.evaluate.cost import (
    Latency,
    flops_per_example,
    measure_latency,
    peak_rss_bytes,
    size_bytes,
    speedup,
)
from sparsepath.evaluate.quality import (
    calibration_bins,
    confusion_matrix,
    coverage_curve,
    is_right,
    paired_difference,
    per_label,
    quality,
)
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import encoder_sites
from sparsepath.models.units import UnitMask
from sparsepath.poc.analysis import update_analysis
from sparsepath.poc.controls import CONTROL_NOTES, TfidfEngine
from sparsepath.poc.dynamic import StaticLine
from sparsepath.poc.recommend import mark_pareto, recommend
from sparsepath.poc.saving import add_int8
from sparsepath.poc.state import Draft
from sparsepath.poc.submodels import latency_model
from sparsepath.poc.workspace import Workspace
from sparsepath.runtime.base import Engine
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.latency_model import at_present_speed

MAX_TEST_ROWS = 4_000
"""Test rows on which quality is measured, at most."""

LATENCY_ROWS = 200
"""Test rows on which latency is measured, at most."""

LATENCY_ROUNDS = 2
"""Times that each of them is timed, if there is time."""

ANSWER_SHARE, LATENCY_SHARE, MEMORY_SHARE = 0.6, 0.15, 0.2
"""Shares of the stage's time for answering test rows, for timing, and for watching memory."""

LEAST_TEST_ROWS = 300
"""Test rows that every candidate answers however little time is left, if there are so many."""

INT8_SHARE = 0.15
"""About how long an int8 candidate takes on the average, as a share of the full model."""

PROBE_ROWS = 64
"""Test rows that the full model answers first, to see how long all will take."""

RSS_ROWS = 20
"""Test rows that a fresh process answers while its memory is watched."""

QUALITY_BATCH = 32
"""Texts that go through a graph together where only the answer matters."""

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


def run_measure(work: Workspace, budget_s: float) -> str:
    """Measure everything, mark the Pareto line and recommend one candidate."""
    _add_int8_variants(work)
    drafts = {draft.name: draft for draft in work.state.drafts}
    answered = _answer(work, drafts, ANSWER_SHARE * budget_s)
    latency = _latency(work, drafts, answered, LATENCY_SHARE * budget_s)
    memory = _memory(work, drafts, answered, MEMORY_SHARE * budget_s)
    candidates = mark_pareto(
        [_candidate(work, drafts[name], answered, latency, memory) for name in drafts]
    )
    recommended = recommend(candidates, work.options)
    rows = work.rows_file
    write_json_atomic(
        work.folder / "results.json",
        Results(
            data=DataSummary(
                rows_train=len(rows.train),
                rows_valid=len(rows.valid),
                rows_test=len(answered.positions),
                labels=rows.label_names,
                sha256=rows.sha256,
            ),
            candidates=sorted(candidates, key=lambda c: c.cost.latency_ms_p50),
            recommended=recommended,
        ),
    )
    _write_analysis(work, candidates, answered, latency)
    chosen = next(c for c in candidates if c.name == recommended.name)
    return (
        f"{len(candidates)} candidates measured; recommended: {chosen.name}, "
        f"{chosen.relative.speedup:.1f} times faster, accuracy {chosen.quality.accuracy:.1%} "
        f"({chosen.relative.accuracy_change * 100:+.1f} points)"
    )


def _add_int8_variants(work: Workspace) -> None:
    """Quantise the full model and the sub-models that are best on the validation rows.

    What is there in int8 already was judged in int8 and stays as it is.
    """
    submodels = [d for d in work.state.drafts if d.kind == "submodel" and d.precision == "fp32"]
    best, wanted = -1.0, []
    for draft in sorted(submodels, key=lambda d: d.predicted_ms or 0.0):
        if (draft.accuracy_valid or 0.0) > best:
            best = draft.accuracy_valid or 0.0
            wanted.append(draft)
    there = [draft.name for draft in work.state.drafts]
    for draft in [work.state.draft("full"), *wanted]:
        if f"{draft.name}-int8" not in there:
            add_int8(work, draft)


def _answer(work: Workspace, drafts: Mapping[str, Draft], budget_s: float) -> Answered:
    """Let every candidate answer the test rows."""
    n_rows = _affordable_rows(work, drafts, budget_s)
    positions = sorted(work.shuffled(len(work.test.texts))[:n_rows])
    if n_rows < len(work.test.texts):
        work.progress.note(f"  quality is measured on {n_rows} of {len(work.test.texts)} test rows")
    texts = [work.test.texts[i] for i in positions]
    probabilities, stages = {}, {}
    for number, (name, draft) in enumerate(drafts.items()):
        engine = _engine(work, draft, threads=os.cpu_count() or 1)
        found = engine.answer(texts, batch_size=QUALITY_BATCH)
        probabilities[name], stages[name] = found.probabilities, found.stages
        work.progress.say(f"{number + 1} of {len(drafts)} candidates answered {len(texts)} rows")
    return Answered(probabilities, work.test.labels[positions].numpy(), positions, stages)


def _affordable_rows(work: Workspace, drafts: Mapping[str, Draft], budget_s: float) -> int:
    """Say on how many test rows all candidates can be judged in the time."""
    engine = _engine(work, work.state.draft("full"), threads=os.cpu_count() or 1)
    probe = work.test.texts[:PROBE_ROWS]
    start_s = work.plan.used_s
    engine.answer(probe, batch_size=QUALITY_BATCH)
    row_s = (work.plan.used_s - start_s) / len(probe)
    full_ms = max(d.predicted_ms or 0.0 for d in drafts.values()) or 1.0
    share = sum(_share_of_full(draft, full_ms) for draft in drafts.values())
    affordable = max(LEAST_TEST_ROWS, int(budget_s / max(1e-6, row_s * share)))
    return min(MAX_TEST_ROWS, len(work.test.texts), affordable)


def _share_of_full(draft: Draft, full_ms: float) -> float:
    """About how long a candidate takes for a row, as a share of the full model."""
    if draft.predicted_ms is not None:
        return draft.predicted_ms / full_ms
    return INT8_SHARE if draft.precision == "int8" else 1.0 if draft.name == "full" else 0.5


def _engine(work: Workspace, draft: Draft, *, threads: int) -> Engine:
    """Load what answers for a candidate."""
    if draft.folder is None:
        return TfidfEngine(work)
    return load_engine(work.path(draft.folder), threads=threads, precision=draft.precision)


def _latency(
    work: Workspace, drafts: Mapping[str, Draft], answered: Answered, budget_s: float
) -> dict[str, Latency]:
    """Time all candidates in turn, one text at a time."""
    engines = {
        name: _engine(work, draft, threads=work.options.threads) for name, draft in drafts.items()
    }
    chosen = work.shuffled(len(answered.positions))[:LATENCY_ROWS]
    texts = [work.test.texts[answered.positions[i]] for i in chosen]
    work.progress.say(f"timing {len(engines)} candidates in turn on {len(texts)} texts")
    return measure_latency(
        engines, texts, rounds=LATENCY_ROUNDS, seed=work.options.seed, max_s=budget_s
    )


def _memory(
    work: Workspace, drafts: Mapping[str, Draft], answered: Answered, budget_s: float
) -> dict[str, int | None]:
    """Watch the memory of a fresh process for each candidate that has a folder, while time lasts.

    First the full model, then what was trained, so that the figures that matter are there.
    """
    texts = [work.test.texts[i] for i in answered.positions[:RSS_ROWS]]
    end_s = work.plan.used_s + budget_s
    found: dict[str, int | None] = dict.fromkeys(drafts)
    order = sorted(
        drafts,
        key=lambda n: (n != "full", drafts[n].control is not None, not drafts[n].is_distilled),
    )
    for name in order:
        draft = drafts[name]
        if draft.folder is None or (work.plan.used_s > end_s and name != "full"):
            continue
        found[name] = peak_rss_bytes(work.path(draft.folder), texts, precision=draft.precision)
        work.progress.say(f"peak memory of {name}: {(found[name] or 0) / 1e6:.0f} MB")
    return found


def _candidate(
    work: Workspace,
    draft: Draft,
    answered: Answered,
    latency: Mapping[str, Latency],
    memory: Mapping[str, int | None],
) -> Candidate:
    """Put the figures of one candidate together."""
    found = quality(answered.probabilities[draft.name], answered.truth)
    right = is_right(answered.probabilities[draft.name], answered.truth)
    change = paired_difference(right, is_right(answered.probabilities["full"], answered.truth))
    ratio = speedup(
        latency["full"],
        latency[draft.name],
        of="mean" if draft.kind == "dynamic" else "median",
        seed=work.options.seed,
    )
    cost = _cost(work, draft, latency, memory[draft.name])
    full_bytes = size_bytes(work.path("models/full"))
    return Candidate(
        name=draft.name,
        kind=draft.kind,
        folder=draft.folder,
        quality=Quality(
            accuracy=found.accuracy,
            accuracy_ci95=tuple(found.accuracy_ci95),
            macro_f1=found.macro_f1,
            nll_nats=found.nll_nats,
            ece=found.ece,
            accuracy_valid=draft.accuracy_valid,
        ),
        cost=cost,
        relative=Relative(
            speedup=ratio.ratio,
            speedup_ci95=tuple(ratio.ci95),
            size_ratio=cost.size_bytes / full_bytes,
            accuracy_change=change.difference,
            accuracy_change_ci95=tuple(change.ci95),
            accuracy_change_p=change.p_value,
        ),
        control=draft.control is not None,
        parent=draft.parent,
        precision=draft.precision,
        shape=_shape(work, draft),
        target=draft.target,
        note=draft.note,
    )


def _cost(
    work: Workspace, draft: Draft, latencies: Mapping[str, Latency], memory: int | None
) -> Cost:
    """Put the cost of one candidate together."""
    n_parameters, n_bytes, flops = _size(work, draft)
    latency = latencies[draft.name]
    return Cost(
        parameters=n_parameters,
        size_bytes=n_bytes,
        flops_per_example=flops,
        latency_ms_p50=latency.p50_ms,
        latency_ms_p95=latency.p95_ms,
        latency_ms_mean=latency.mean_ms,
        latency_ms_predicted=_predicted_ms(work, draft, latencies),
        examples_per_second=1000.0 / latency.mean_ms,
        peak_rss_bytes=memory,
        tokenize_ms_p50=latency.tokenize_p50_ms,
    )


def _predicted_ms(work: Workspace, draft: Draft, latencies: Mapping[str, Latency]) -> float | None:
    """Give what was predicted of a sub-model, at the speed that the machine has now.

    That speed is seen on the full model and on the control without layers.
    """
    if draft.kind != "submodel" or draft.precision != "fp32" or not draft.predicted_ms:
        return None
    model = latency_model(work)
    shapes = {"word-embeddings": [], "full": UnitMask.full(work.full).shape}
    anchors = [
        (model.predict_ms(shape), latencies[name].p50_ms)
        for name, shape in shapes.items()
        if name in latencies
    ]
    return at_present_speed(draft.predicted_ms, anchors)


def _size(work: Workspace, draft: Draft) -> tuple[int, int, int | None]:
    """Parameters, bytes of all files needed to answer, and operations per example."""
    if draft.folder is None:
        engine = TfidfEngine(work)
        return engine.n_parameters, engine.size_bytes, None
    if draft.kind == "dynamic" and draft.name != "early-exit":
        parts = [_size(work, work.state.draft(stage)) for stage in draft.stages]
        return sum(p[0] for p in parts), sum(p[1] for p in parts), None
    model = _model(work, draft)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    n_bytes = size_bytes(work.path(draft.folder), draft.precision)
    if draft.kind == "dynamic":
        return n_parameters, n_bytes, None
    return n_parameters, n_bytes, _flops(work, model)


def _model(work: Workspace, draft: Draft) -> PathwayClassifier:
    """Load the torch model of a candidate."""
    assert draft.folder is not None
    return work.full if draft.name == "early-exit" else work.load(Path(draft.folder).name)


def _flops(work: Workspace, model: PathwayClassifier) -> int:
    """Count the operations for a text of mean length."""
    length = float(np.mean([len(ids) for ids in work.valid.encoded]))
    sites = encoder_sites(model.encoder).layers
    return flops_per_example(
        UnitMask.full(model).shape,
        width=encoder_sites(model.encoder).embedding.embedding_dim,
        head_dim=max((site.head_dim for site in sites), default=1),
        n_labels=len(work.label_names),
        n_tokens=round(length),
        is_glu=any(site.is_glu for site in sites),
    )


def _shape(work: Workspace, draft: Draft) -> Shape | None:
    """Give heads and neurons of each kept layer, where the candidate is one model."""
    if draft.folder is None or draft.kind == "dynamic":
        return None
    model = _model(work, draft)
    return Shape(
        layers=[(len(layer["heads"]), layer["neurons"]) for layer in model.config.layers],
        vocabulary=encoder_sites(model.encoder).embedding.num_embeddings,
    )


def _write_analysis(
    work: Workspace,
    candidates: list[Candidate],
    answered: Answered,
    latency: Mapping[str, Latency],
) -> None:
    """Write everything about answers that the report shows."""
    names = work.label_names
    shown = [c.name for c in candidates if c.pareto or c.name == "full"]
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
