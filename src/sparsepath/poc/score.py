"""Fourth stage: how much every unit of the full model matters, by two methods and by chance."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparsepath.artifacts.analysis import (
    Edge,
    EdgeSample,
    MethodScores,
    RemovalCurve,
    RemovalPoint,
    UnitReport,
)
from sparsepath.models.families import encoder_sites
from sparsepath.models.units import UnitMask, UnitScores
from sparsepath.pathways.edges import score_edges
from sparsepath.pathways.removal import FRACTIONS, removal_curves
from sparsepath.pathways.scores import combine_scores, layer_scores, rank_agreement, score_units
from sparsepath.poc.analysis import update_analysis
from sparsepath.poc.workspace import SCORING_ROWS, Workspace
from sparsepath.trace.gates import UnitMeans, unit_means

N_QUANTILES = 64
"""Values that stand for the neurons of a layer in the report."""

N_EDGE_TEXTS = 6
"""Validation texts whose attention edges are scored."""

N_EDGES = 12
"""Edges of a text that the report shows."""

ENOUGH_SECONDS = 8.0
"""A shorter stage measures few points of the removal curves."""

FEW_FRACTIONS = (0.0, 0.3, 0.6, 1.0)

MAX_REMOVAL_ROWS = 384
"""Validation rows of the removal curves, at most."""


def run_score(work: Workspace, budget_s: float) -> str:
    """Score all units, measure how quality falls as they leave, and score edges on a sample."""
    n_rows = int(min(SCORING_ROWS, max(96, 25 * budget_s)))
    batches = work.batches(work.train, n_rows)
    means = unit_means(work.full, batches)
    scores = {
        method: score_units(work.full, batches, method, means=means)
        for method in ("gradient", "activation")
    }
    scores["random"] = score_units(work.full, [], "random", generator=work.generator(1))
    _save(work, scores, means)
    agreement = rank_agreement(scores["gradient"], scores["activation"])
    work.progress.say(f"two ways of scoring agree at rank correlation {agreement:.2f}")
    curves = _removal(work, scores, means, budget_s)
    update_analysis(
        work.folder,
        units=_report(work, scores, agreement),
        removal=curves,
        edges=_edges(work),
    )
    kept = next(
        (p.fraction for p in reversed(curves[1].points) if p.accuracy >= 0.98 * _start(curves[1])),
        0.0,
    )
    return (
        f"rank correlation of the two methods {agreement:.2f}; {kept:.0%} of the units can leave, "
        "least important first, before 2 % of the accuracy is lost"
    )


def load_scores(work: Workspace) -> UnitScores:
    """Give the scores that sub-models are chosen by: both methods together."""
    tensors = work.load_tensors("scores")
    gradient, activation = (
        UnitScores(tensors[f"{method}.heads"], tensors[f"{method}.neurons"])
        for method in ("gradient", "activation")
    )
    return combine_scores(gradient, activation)


def load_means(work: Workspace) -> UnitMeans:
    """Give the mean of every unit of the full model."""
    tensors = work.load_tensors("scores")
    return UnitMeans(tensors["means.heads"], tensors["means.neurons"])


def _save(work: Workspace, scores: dict[str, UnitScores], means: UnitMeans) -> None:
    """Keep scores and means for the later stages."""
    tensors = {"means.heads": means.heads, "means.neurons": means.neurons}
    for method, found in scores.items():
        tensors |= {f"{method}.heads": found.heads, f"{method}.neurons": found.neurons}
    work.save_tensors("scores", tensors)


def _removal(
    work: Workspace, scores: dict[str, UnitScores], means: UnitMeans, budget_s: float
) -> list[RemovalCurve]:
    """Measure removal curves on as many validation rows as the time allows."""
    n_rows = int(min(MAX_REMOVAL_ROWS, max(48, 4 * budget_s)))
    found = removal_curves(
        work.full,
        work.batches(work.valid, n_rows, batch_size=64),
        {name: scores[name] for name in ("gradient", "activation")},
        means=means,
        generator=work.generator(2),
        n_random=2 if budget_s >= ENOUGH_SECONDS else 1,
        fractions=FRACTIONS if budget_s >= ENOUGH_SECONDS else FEW_FRACTIONS,
    )
    return [
        RemovalCurve(
            order=curve.order,
            method=curve.method,
            points=[
                RemovalPoint(
                    fraction=point.fraction,
                    accuracy=point.accuracy,
                    accuracy_ci95=point.accuracy_ci95,
                    nll_nats=point.nll_nats,
                    n=point.n,
                )
                for point in curve.points
            ],
        )
        for curve in found
    ]


def _start(curve: RemovalCurve) -> float:
    """Accuracy before anything left."""
    return curve.points[0].accuracy


def _report(work: Workspace, scores: dict[str, UnitScores], agreement: float) -> UnitReport:
    """Put the scores into the form of the report."""
    sites = encoder_sites(work.full.encoder).layers
    mask = UnitMask.full(work.full)
    return UnitReport(
        n_layers=len(sites),
        n_heads=int(mask.heads.shape[1]),
        n_neurons=[site.n_neurons for site in sites],
        scores={
            method: MethodScores(
                heads=_finite_rows(found.heads),
                neurons=[_quantiles(row) for row in found.neurons],
                layers=[float(x) for x in layer_scores(found)],
            )
            for method, found in scores.items()
        },
        agreement={"gradient~activation": agreement},
    )


def _finite_rows(scores: Float[Tensor, "layers units"]) -> list[list[float | None]]:
    """Replace padding by None."""
    return [[x if abs(x) != float("inf") else None for x in row] for row in scores.tolist()]


def _quantiles(scores: Float[Tensor, " units"]) -> list[float | None]:
    """Give evenly spaced quantiles of the present units, highest first."""
    present = scores[scores.isfinite()]
    if not len(present):
        return []
    levels = torch.linspace(1, 0, min(N_QUANTILES, len(present)))
    return [float(x) for x in torch.quantile(present.float(), levels)]


def _edges(work: Workspace) -> list[EdgeSample]:
    """Score the attention edges of a few validation texts."""
    samples = []
    for i in work.shuffled(len(work.valid.texts))[:N_EDGE_TEXTS]:
        ids = work.valid.encoded[i]
        found = score_edges(work.full, ids, label=int(work.valid.labels[i]))
        strongest = sorted(found, key=lambda edge: -abs(edge.score))[:N_EDGES]
        samples.append(
            EdgeSample(
                row_id=work.valid.row_ids[i],
                text=work.valid.texts[i][:300],
                tokens=[work.small_tokenizer.id_to_token(token) or "?" for token in ids],
                edges=[
                    Edge(
                        source=edge.source,
                        target=edge.target,
                        layer=edge.layer,
                        head=edge.head,
                        score=edge.score,
                    )
                    for edge in strongest
                ],
            )
        )
    return samples
