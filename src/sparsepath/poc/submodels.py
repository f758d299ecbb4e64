"""Fifth stage: at least twenty physically smaller sub-models from one scoring pass."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sparsepath.artifacts.store import write_json_atomic
from sparsepath.models.describe import describe
from sparsepath.models.surgery import extract
from sparsepath.models.units import UnitMask
from sparsepath.pathways.depths import DepthTable, measure_depths
from sparsepath.pathways.repair import record_parent, repair
from sparsepath.pathways.search import cost_targets, search_masks
from sparsepath.poc.saving import save_candidate
from sparsepath.poc.score import load_means, load_scores
from sparsepath.poc.state import Draft
from sparsepath.poc.workspace import MODELS_FOLDER, SCORING_ROWS, Workspace
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.latency_model import LatencyModel, fit_latency
from sparsepath.trace.batches import Batch
from sparsepath.train.finetune import score_on

N_TARGETS = 21
"""Cost targets from no layer at all to nearly the full model."""

FEW_TARGETS, ENOUGH_MINUTES = 12, 2.0
"""Runs shorter than so many minutes get only so many targets."""

REPAIR_ROWS = 256
"""Training rows on which outputs are repaired, at most."""

JUDGE_ROWS = 300
"""Validation rows that judge a sub-model before it is trained, at most."""

MOST_OF_BUDGET = 1.6
"""Multiple of the stage's time after which no further sub-model is extracted."""

AT_LEAST = 6
"""Sub-models that are extracted however little time is left, those to be distilled among them."""

TIMING_SHARE = 0.3
"""Share of the stage's time that the latency model may time shapes."""

DISTILLED_SPEEDUPS = (22.0, 6.8, 3.3)
"""Speed-ups over the full model, as predicted, at which sub-models will be distilled: a little more
than 20, 6 and 3. The one without any layer is distilled as well."""

LONG_MINUTES, LONG_SPEEDUPS = 30.0, (2.1,)
"""Runs of so many minutes or more also distil at these."""

DEPTH_ROWS = 256
"""Training rows on which combinations of layers are fitted, at most; half as many judge."""


def run_extract(work: Workspace, budget_s: float) -> str:
    """Search, extract and repair sub-models over a grid of latencies."""
    start_s = work.plan.used_s
    latency = latency_model(work)
    depths = depth_table(work, budget_s)
    mask = UnitMask.full(work.full)
    n_targets = N_TARGETS if work.options.minutes >= ENOUGH_MINUTES else FEW_TARGETS
    wanted = _distilled_ms(work, latency)
    targets = cost_targets(latency, mask.shape, n_targets)
    targets = sorted({*targets, *(ms for ms in wanted if targets[0] < ms)})
    found = search_masks(load_scores(work), latency, targets, depths)
    work.progress.say(f"{len(found)} sub-models chosen; extracting")
    end_s = start_s + MOST_OF_BUDGET * budget_s
    means, batches = load_means(work), repair_batches(work, budget_s)
    record = record_parent(work.full, batches)
    judge = score_on(work.valid.encoded[:JUDGE_ROWS], work.valid.labels[:JUDGE_ROWS], work.pad_id)
    predicted = [choice.predicted_ms for choice in found]
    first = nearest_places(predicted, wanted)
    for number, place in enumerate(_order(len(found), first)):
        if number >= AT_LEAST and work.plan.used_s > end_s:
            work.progress.note("  the time of this stage is used up; some sub-models are left out")
            break
        choice = found[place]
        draft = Draft(
            name=f"sub-{place + 1:02d}",
            kind="submodel",
            folder=f"{MODELS_FOLDER}/sub-{place + 1:02d}",
            parent="full",
            target=f"{choice.target_ms:.3g} ms",
            note=choice.reason,
            predicted_ms=choice.predicted_ms,
        )
        small = repair(extract(work.full, choice.mask, means=means), record, batches).model
        score = judge(small)
        draft.accuracy_valid, draft.nll_valid = score.accuracy, score.nll_nats
        save_candidate(work, draft, small)
        save_mask(work, draft.name, choice.mask)
        work.progress.say(
            f"{number + 1} of {len(found)}: {choice.predicted_ms:.2f} ms, "
            f"{score.accuracy:.1%} on validation rows before any training"
        )
    n_written = sum(draft.kind == "submodel" for draft in work.state.drafts)
    return f"{n_written} sub-models extracted, repaired and written"


def distilled_places(work: Workspace, predicted_ms: Sequence[float]) -> list[int]:
    """Give the places of the sub-models to distil, lightest first, none twice.

    Args:
        work: The run.
        predicted_ms: Latency of each sub-model.
    """
    return nearest_places(predicted_ms, _distilled_ms(work, latency_model(work)))


def nearest_places(values: Sequence[float], wanted: Sequence[float]) -> list[int]:
    """Give the places of what is nearest to each wanted value by ratio, none twice.

    Args:
        values: All above 0, at least one.
        wanted: All above 0.
    """
    nearest = [
        min(range(len(values)), key=lambda i: abs(math.log(values[i] / value))) for value in wanted
    ]
    return list(dict.fromkeys(nearest))


def _distilled_ms(work: Workspace, latency: LatencyModel) -> list[float]:
    """Give the latencies at which sub-models will be distilled, lightest first."""
    whole_ms = latency.predict_ms(UnitMask.full(work.full).shape)
    is_long = work.options.minutes >= LONG_MINUTES
    speedups = DISTILLED_SPEEDUPS + (LONG_SPEEDUPS if is_long else ())
    return [latency.predict_ms([]), *(whole_ms / speedup for speedup in speedups)]


def _order(n: int, first: Sequence[int]) -> list[int]:
    """Give the order of extraction: first what is distilled, then every other of the rest.

    So a stage that runs out of time leaves no gap anywhere.
    """
    rest = [place for place in range(n) if place not in first]
    return [*first, *rest[::2], *rest[1::2]]


def latency_model(work: Workspace) -> LatencyModel:
    """Fit once a run what a shape costs on this machine, at the lengths of the validation texts."""
    path = work.work_folder / "latency.json"
    if path.exists():
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known |= {name: tuple(known[name]) for name in ("knots_ms", "knots_bytes")}
        return LatencyModel(**known)
    lengths = [len(ids) for ids in work.valid.encoded]
    encode = load_engine(work.path(f"{MODELS_FOLDER}/word-embeddings")).encoder.encode
    texts = work.valid.texts
    work.progress.say("timing shapes of sub-models")
    found = fit_latency(
        describe(work.full),
        lengths,
        tokenize=lambda row: encode(texts[row]),
        threads=work.options.threads,
        budget_s=TIMING_SHARE * work.plan.budget_s("extract"),
        seed=work.options.seed,
    )
    write_json_atomic(path, asdict(found))
    return found


def depth_table(work: Workspace, budget_s: float) -> DepthTable:
    """Measure what combinations of whole layers are worth."""
    n_rows = int(min(DEPTH_ROWS, max(32, 8 * budget_s)))
    return measure_depths(
        work.full,
        work.batches(work.train, n_rows, batch_size=64),
        work.batches(work.valid, n_rows // 2, batch_size=64),
        means=load_means(work),
    )


def repair_batches(work: Workspace, budget_s: float) -> list[Batch]:
    """Give the training rows of a repair."""
    n_rows = int(min(REPAIR_ROWS, SCORING_ROWS, max(64, 8 * budget_s)))
    return work.batches(work.train, n_rows)


def save_mask(work: Workspace, name: str, mask: UnitMask) -> None:
    """Remember which units a sub-model kept."""
    work.save_tensors(
        f"mask-{name}", {"heads": mask.heads.to("cpu"), "neurons": mask.neurons.to("cpu")}
    )


def load_mask(work: Workspace, name: str) -> UnitMask:
    """Give the units that a sub-model kept."""
    tensors = work.load_tensors(f"mask-{name}")
    return UnitMask(tensors["heads"], tensors["neurons"])
