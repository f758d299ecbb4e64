"""The figures of one candidate: quality, cost and what it is worth against the full model."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sparsepath.artifacts.schema import Candidate, Cost, Quality, Relative, Shape
from sparsepath.evaluate.cost import Latency, flops_per_example, size_bytes, speedup
from sparsepath.evaluate.quality import is_right, paired_difference, quality
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import encoder_sites
from sparsepath.models.units import UnitMask
from sparsepath.poc.comparison import Answered
from sparsepath.poc.controls import TfidfEngine
from sparsepath.poc.state import Draft
from sparsepath.poc.submodels import latency_model
from sparsepath.poc.workspace import Workspace
from sparsepath.runtime.latency_model import at_present_speed


def figures_of(
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
