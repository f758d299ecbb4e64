"""The figures of one candidate: quality, cost and what it is worth against the full model."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sparsepath.artifacts.schema import Candidate, Cost, Quality, Relative, Shape
from sparsepath.evaluate.cost import Latency, flops_per_example, size_bytes, speedup
from sparsepath.evaluate.quality import is_right, paired_difference, quality
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import encoder_sites
from sparsepath.models.units import UnitMask
from sparsepath.poc.comparison import Answered
from sparsepath.poc.controls import TfidfEngine
from sparsepath.poc.ensemble import MEMBERS, NAME
from sparsepath.poc.state import Draft
from sparsepath.poc.submodels import latency_model
from sparsepath.poc.workspace import Workspace
from sparsepath.runtime.latency_model import at_present_speed

Anchors = list[tuple[float, float]]
"""Predicted and measured milliseconds of models that are no sub-models."""


class Anatomy(NamedTuple):
    """What the model of a candidate is made of."""

    n_parameters: int
    """Weights and biases."""
    n_flops: int
    """Operations for a text of mean length."""
    shape: Shape
    """Heads and neurons of each kept layer, and the vocabulary."""


class Costs(NamedTuple):
    """What was timed and watched, of all candidates."""

    latency: Mapping[str, Latency]
    """By candidate."""
    memory: Mapping[str, int | None]
    """Peak bytes by candidate; None where there was no time."""
    anchors: Anchors
    """From `latency_anchors`."""


def latency_anchors(work: Workspace, latencies: Mapping[str, Latency]) -> Anchors:
    """Compare prediction and measurement where nobody asked for a prediction.

    That is the full model, the control without layers, and what layer dropping left: they show
    what the machine's speed did since latencies were predicted.
    """
    model = latency_model(work)
    others = [
        draft
        for draft in work.state.drafts
        if draft.name in {"full", "word-embeddings"} or draft.control == "layer-drop"
    ]
    return [
        (model.predict_ms(shape.layers), latencies[draft.name].p50_ms)
        for draft in others
        if (shape := _shape(work, draft)) is not None
    ]


def figures_of(
    work: Workspace,
    draft: Draft,
    answered: Answered,
    costs: Costs,
) -> Candidate:
    """Put the figures of one candidate together."""
    found = quality(answered.probabilities[draft.name], answered.truth)
    right = is_right(answered.probabilities[draft.name], answered.truth)
    change = paired_difference(right, is_right(answered.probabilities["full"], answered.truth))
    ratio = speedup(
        costs.latency["full"],
        costs.latency[draft.name],
        of="mean" if draft.kind == "dynamic" else "median",
        seed=work.options.seed,
    )
    cost = _cost(work, draft, costs)
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


def _cost(work: Workspace, draft: Draft, costs: Costs) -> Cost:
    """Put the cost of one candidate together."""
    n_parameters, n_bytes, flops = _size(work, draft)
    latency = costs.latency[draft.name]
    is_predicted = draft.kind == "submodel" and draft.precision == "fp32"
    predicted_ms = (draft.predicted_ms or None) if is_predicted else None
    return Cost(
        parameters=n_parameters,
        size_bytes=n_bytes,
        flops_per_example=flops,
        latency_ms_p50=latency.p50_ms,
        latency_ms_p95=latency.p95_ms,
        latency_ms_mean=latency.mean_ms,
        latency_ms_predicted=predicted_ms and at_present_speed(predicted_ms, costs.anchors),
        examples_per_second=1000.0 / latency.mean_ms,
        peak_rss_bytes=costs.memory[draft.name],
        tokenize_ms_p50=latency.tokenize_p50_ms,
    )


def _size(work: Workspace, draft: Draft) -> tuple[int, int, int | None]:
    """Parameters, bytes of all files needed to answer, and operations per example."""
    if draft.folder is None:
        engine = TfidfEngine(work)
        return engine.n_parameters, engine.size_bytes, None
    if draft.kind == "dynamic" and draft.name != "early-exit":
        parts = [_size(work, work.state.draft(stage)) for stage in draft.stages]
        return sum(p[0] for p in parts), sum(p[1] for p in parts), None
    anatomy = _anatomy(work, draft)
    n_bytes = size_bytes(work.path(draft.folder), draft.precision)
    n_flops = None if draft.kind == "dynamic" else anatomy.n_flops
    if draft.kind == "ensemble":
        n_flops = MEMBERS * anatomy.n_flops
    return anatomy.n_parameters, n_bytes, n_flops


def _anatomy(work: Workspace, draft: Draft) -> Anatomy:
    """Count what a candidate's PyTorch model is made of; loaded once for all its precisions."""
    assert draft.folder is not None
    key = f"anatomy of {draft.folder}"
    known = work.memory.get(key)
    if not isinstance(known, Anatomy):
        is_full = draft.name in {"early-exit", NAME}
        model = work.full if is_full else work.load(Path(draft.folder).name)
        known = Anatomy(
            n_parameters=sum(parameter.numel() for parameter in model.parameters()),
            n_flops=_flops(work, model),
            shape=Shape(
                layers=[(len(layer["heads"]), layer["neurons"]) for layer in model.config.layers],
                vocabulary=encoder_sites(model.encoder).embedding.num_embeddings,
            ),
        )
        work.memory[key] = known
    return known


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
    return _anatomy(work, draft).shape
