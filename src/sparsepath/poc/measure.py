"""Ninth stage: quality on test rows and cost in one engine, for every candidate."""

from collections.abc import Mapping

import numpy as np
import torch

from sparsepath.artifacts.schema import DataSummary, Results
from sparsepath.artifacts.store import write_json_atomic
from sparsepath.evaluate.cost import Latency, measure_latency, peak_rss_bytes
from sparsepath.poc.analysis import update_analysis
from sparsepath.poc.answers import candidate_engine, valid_answers, valid_right
from sparsepath.poc.comparison import Answered, write_comparison
from sparsepath.poc.ensemble import MEMBERS
from sparsepath.poc.figures import Costs, figures_of, latency_anchors
from sparsepath.poc.recommend import Judged, mark_pareto, recommend
from sparsepath.poc.saving import add_int8
from sparsepath.poc.state import Draft
from sparsepath.poc.submodels import JUDGE_ROWS
from sparsepath.poc.unsure import alone_figures
from sparsepath.poc.workspace import QUALITY_BATCH, Workspace

FULL_ANSWERS = "full-answers"
"""Tensors of a run that tell what the full model answered to which test rows."""

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

JUDGED_AGAIN = 0.03
"""Candidates at most so much less accurate than the full model answer the validation rows again."""

PROBE_ROWS = 64
"""Test rows that the full model answers first, to see how long all will take."""

RSS_ROWS = 20
"""Test rows that a fresh process answers while its memory is watched."""


def run_measure(work: Workspace, budget_s: float) -> str:
    """Measure everything, mark the Pareto line and recommend one candidate."""
    _add_int8_variants(work)
    drafts = {draft.name: draft for draft in work.state.drafts}
    judged = _judge(work, drafts)
    answered = _answer(work, drafts, ANSWER_SHARE * budget_s)
    work.save_tensors(
        FULL_ANSWERS,
        {
            "positions": torch.tensor(answered.positions),
            "predicted": torch.from_numpy(answered.probabilities["full"].argmax(axis=1)),
        },
    )
    latency = _latency(work, drafts, answered, LATENCY_SHARE * budget_s)
    memory = _memory(work, drafts, answered, MEMORY_SHARE * budget_s)
    costs = Costs(latency, memory, latency_anchors(work, latency))
    candidates = mark_pareto([figures_of(work, d, answered, costs) for d in drafts.values()])
    recommended = recommend(candidates, work.options, judged=judged)
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
    write_comparison(work, candidates, answered, latency, recommended.name)
    ensembles = [name for name, draft in drafts.items() if draft.kind == "ensemble"]
    shown = [recommended.name, "full", *ensembles]
    update_analysis(work.folder, alone=alone_figures(work, drafts, answered, shown))
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


def _judge(work: Workspace, drafts: Mapping[str, Draft]) -> dict[str, Judged]:
    """Let candidates near the full model answer all validation rows, each in its own engine.

    Their drafts get that accuracy. A candidate that was judged roughly and lies far below has the
    error of the rough judgement.
    """
    n = len(work.valid.texts)
    full = valid_right(work, drafts["full"]).astype(np.float64)
    drafts["full"].accuracy_valid = float(full.mean())
    full_labels = valid_answers(work, drafts["full"]).argmax(axis=1)
    judged = {"full": Judged(same_labels=1.0)}
    for name, draft in drafts.items():
        if name == "full" or draft.control is not None or draft.folder is None:
            continue
        if (draft.accuracy_valid or 0.0) < float(full.mean()) - JUDGED_AGAIN:
            judged[name] = Judged(0.5 / min(JUDGE_ROWS, n) ** 0.5)
            continue
        right = valid_right(work, draft).astype(np.float64)
        draft.accuracy_valid = float(right.mean())
        same = float((valid_answers(work, draft).argmax(axis=1) == full_labels).mean())
        judged[name] = Judged(float((right - full).std()) / n**0.5, same)
        work.progress.say(f"{name}: {draft.accuracy_valid:.1%} on validation rows")
    return judged


def _answer(work: Workspace, drafts: Mapping[str, Draft], budget_s: float) -> Answered:
    """Let every candidate answer the test rows."""
    n_rows = _affordable_rows(work, drafts, budget_s)
    positions = sorted(work.shuffled(len(work.test.texts))[:n_rows])
    if n_rows < len(work.test.texts):
        work.progress.note(f"  quality is measured on {n_rows} of {len(work.test.texts)} test rows")
    texts = [work.test.texts[i] for i in positions]
    probabilities, stages = {}, {}
    for number, (name, draft) in enumerate(drafts.items()):
        engine = candidate_engine(work, draft)
        found = engine.answer(texts, batch_size=QUALITY_BATCH)
        probabilities[name], stages[name] = found.probabilities, found.stages
        work.progress.say(f"{number + 1} of {len(drafts)} candidates answered {len(texts)} rows")
    return Answered(probabilities, work.test.labels[positions].numpy(), positions, stages)


def _affordable_rows(work: Workspace, drafts: Mapping[str, Draft], budget_s: float) -> int:
    """Say on how many test rows all candidates can be judged in the time."""
    engine = candidate_engine(work, work.state.draft("full"))
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
    if draft.kind == "ensemble":
        return float(MEMBERS)
    if draft.predicted_ms is not None:
        return draft.predicted_ms / full_ms
    return INT8_SHARE if draft.precision == "int8" else 1.0 if draft.name == "full" else 0.5


def _latency(
    work: Workspace, drafts: Mapping[str, Draft], answered: Answered, budget_s: float
) -> dict[str, Latency]:
    """Time all candidates in turn, one text at a time."""
    engines = {
        name: candidate_engine(work, draft, threads=work.options.threads)
        for name, draft in drafts.items()
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
