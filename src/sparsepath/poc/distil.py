"""Sixth stage: sub-models learn from the full model, and so do the controls, for as many steps."""

import math
from dataclasses import replace
from typing import NamedTuple

import torch

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.surgery import extract
from sparsepath.models.units import UnitMask
from sparsepath.pathways.controls import layer_drop_masks, random_masks
from sparsepath.pathways.repair import record_parent, repair
from sparsepath.poc.lessons import Lessons, find_lessons
from sparsepath.poc.saving import save_candidate
from sparsepath.poc.score import load_means
from sparsepath.poc.state import Draft
from sparsepath.poc.submodels import (
    distilled_places,
    latency_model,
    load_mask,
    repair_batches,
)
from sparsepath.poc.workspace import MODELS_FOLDER, Workspace
from sparsepath.runtime.latency_model import LatencyModel
from sparsepath.train.checkpoint import FileCheckpoints
from sparsepath.train.finetune import teacher_loss
from sparsepath.train.loop import FitConfig, FitJob, FitResult, fit

DISTIL = FitConfig(
    learning_rate=7e-4,
    classifier_rate_factor=5.0,
    embedding_rate_factor=3.0,
    batch_size=64,
    max_epochs=10.0,
    n_evaluations=3,
    patience=4,
    short_epochs=math.inf,
)
"""How sub-models and their controls learn from the full model, at the highest rate."""

LIGHT_SPEEDUP, RATE_POWER = 22.0, 0.63
"""From the first speed-up on the rate is the highest; towards the full model it falls with this
power. A sub-model that is nearly the full model forgets at a high rate: five layers of BLiMP's, 3
times faster, had 0.970 before and after at 7e-4, and 0.985 at 2e-4 (LOG.md)."""

N_CONTROLLED = 2
"""Lightest distilled sub-models with layers that get controls, while time is left."""

CONTROL_SHARE = 0.42
"""Share of the stage's time that controls get."""

OVERRUN_SHARE = 0.25
"""A control starts when at most this share of it lies beyond the end of the stage."""

LEAST_SECONDS = 6.0
"""A shorter stage is left out."""

OVERHEAD = 0.15
"""Time of a step that does not depend on the layers, as a share of the full model's."""

TEACHER_SHARE = 0.08
"""Share of the stage's time in which the full model answers training and made-up texts."""


def run_distil(work: Workspace, budget_s: float) -> str:
    """Distil sub-models, lightest first, then the controls of some of them."""
    if budget_s < LEAST_SECONDS:
        return "left out: there was no time for it; sub-models stay as they were repaired"
    end_s = work.plan.used_s + budget_s
    latency = latency_model(work)
    chosen = _choose(work)
    lessons = find_lessons(work, TEACHER_SHARE * budget_s)
    end_of_models_s = end_s - CONTROL_SHARE * budget_s
    for number, name in enumerate(chosen):
        draft = work.state.draft(name)
        if draft.is_distilled:
            continue
        weights = [_weight(work, latency, other) for other in chosen[number:]]
        left_s = max(0.0, end_of_models_s - work.plan.used_s)
        model = work.load(name)
        budget = left_s * weights[0] / sum(weights)
        rate = _rate(work, latency, name)
        result = _learn(work, model, lessons, name, Pace(rate, budget))
        draft = draft.model_copy(update={"is_distilled": True})
        _finish(work, draft, model, result)
        work.state.facts |= {f"steps {name}": result.n_steps, f"seconds {name}": result.wall_s}
    n_controls = _run_controls(work, chosen, lessons, end_s)
    best = max(work.state.draft(name).accuracy_valid or 0.0 for name in chosen)
    return (
        f"{len(chosen)} sub-models distilled, the best {best:.1%} on validation rows; "
        f"{n_controls} controls trained for as many steps"
    )


def _choose(work: Workspace) -> list[str]:
    """Name the sub-models to distil, lightest first."""
    drafts = [d for d in work.state.drafts if d.kind == "submodel" and d.control is None]
    places = distilled_places(work, [d.predicted_ms or 0.0 for d in drafts])
    return [drafts[place].name for place in places]


class Pace(NamedTuple):
    """How fast and how long a model learns."""

    rate: float
    """Highest learning rate."""
    budget_s: float
    """Seconds."""
    n_steps: int | None = None
    """Exact number of steps, whatever time they take."""


def _rate(work: Workspace, latency: LatencyModel, name: str) -> float:
    """Choose the rate of a sub-model by how much lighter than the full model it is."""
    whole_ms = latency.predict_ms(UnitMask.full(work.full).shape)
    speedup = whole_ms / (work.state.draft(name).predicted_ms or whole_ms)
    share: float = min(1.0, speedup / LIGHT_SPEEDUP) ** RATE_POWER
    return DISTIL.learning_rate * share


def _weight(work: Workspace, latency: LatencyModel, name: str) -> float:
    """Relative time that a sub-model needs to learn: its layers, and something for the rest."""
    predicted = work.state.draft(name).predicted_ms or 0.0
    return predicted / latency.predict_ms(UnitMask.full(work.full).shape) + OVERHEAD


def _learn(
    work: Workspace,
    model: PathwayClassifier,
    lessons: Lessons,
    name: str,
    pace: Pace,
) -> FitResult:
    """Distil one model."""
    checkpoints = FileCheckpoints(work.work_folder / f"fit-{name}.safetensors")
    job = FitJob(
        model=model,
        encoded=lessons.encoded,
        pad_id=work.pad_id,
        loss=teacher_loss(lessons.teacher, lessons.labels, temperature=1.0, label_share=0.0),
        validate=work.judge,
        seed=work.options.seed,
        budget_s=pace.budget_s,
        on_step=lambda done, planned, learnt: work.progress.say(
            f"{name}, step {done} of {planned}, {learnt}"
        ),
    )
    config = replace(DISTIL, learning_rate=pace.rate)
    result = fit(job, config, checkpoints=checkpoints, n_steps=pace.n_steps)
    checkpoints.remove()
    return result


def _finish(work: Workspace, draft: Draft, model: PathwayClassifier, result: FitResult) -> None:
    """Write a distilled model."""
    draft.accuracy_valid, draft.nll_valid = result.best.accuracy, result.best.nll_nats
    draft.note = f"{draft.note}; learnt from the full model in {result.n_steps} steps"
    save_candidate(work, draft, model)


def _run_controls(work: Workspace, chosen: list[str], lessons: Lessons, end_s: float) -> int:
    """Train random units, the same shape from scratch and layer dropping, while time is left."""
    n_done = 0
    batches = repair_batches(work, end_s - work.plan.used_s)
    record, means = record_parent(work.full, batches), load_means(work)
    for name in chosen[1 : 1 + N_CONTROLLED]:
        mask, steps = load_mask(work, name), int(str(work.state.facts[f"steps {name}"]))
        seconds = float(str(work.state.facts[f"seconds {name}"]))
        for kind, control in _control_masks(work, mask).items():
            control_name = f"{kind}-{name}"
            if control_name in [draft.name for draft in work.state.drafts]:
                continue
            wanted_s = seconds * _relative_cost(work, control, mask)
            if work.plan.used_s + wanted_s > end_s + OVERRUN_SHARE * wanted_s:
                continue
            small = extract(work.full, control, means=means)
            if kind == "scratch":
                _forget(small, work.generator(5))
            else:
                small = repair(small, record, batches).model
            pace = Pace(_rate(work, latency_model(work), name), math.inf, steps)
            result = _learn(work, small, lessons, control_name, pace)
            draft = Draft(
                name=control_name,
                kind="control",
                folder=f"{MODELS_FOLDER}/{control_name}",
                parent="full" if kind != "scratch" else None,
                control=kind,
                matches=name,
                note=f"control of {name} ({steps} steps there)",
                is_distilled=True,
            )
            _finish(work, draft, small, result)
            n_done += 1
    return n_done


def _relative_cost(work: Workspace, mask: UnitMask, like: UnitMask) -> float:
    """Estimate what a step with some units takes, over what one with others takes."""
    latency = latency_model(work)
    whole_ms = latency.predict_ms(UnitMask.full(work.full).shape)
    ours, theirs = (
        latency.predict_ms([layer for layer in m.shape if any(layer)]) / whole_ms + OVERHEAD
        for m in (mask, like)
    )
    return ours / theirs


def _control_masks(work: Workspace, mask: UnitMask) -> dict[str, UnitMask]:
    """Give the units that each control keeps."""
    full = UnitMask.full(work.full)
    size = mask.n_units
    dropped = min(layer_drop_masks(full)[1:], key=lambda other: abs(other.n_units - size))
    return {
        "random": random_masks(full, [mask], generator=work.generator(4))[0],
        "scratch": mask,
        "layer-drop": dropped,
    }


def _forget(model: PathwayClassifier, generator: torch.Generator) -> None:
    """Give every weight a random start, as an untrained model has."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.02, generator=generator)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            value = 1.0 if name.endswith("weight") else 0.0
            torch.nn.init.constant_(parameter, value)
