"""`/api/v1/runs/{run}/pathways`: a model's parts, and which of them each candidate kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends

from sparsepath.artifacts.analysis import Analysis, MethodScores, UnitReport
from sparsepath.artifacts.kept_parts import CONFIG_FILE, KeptLayer, read_kept
from sparsepath.artifacts.schema import Candidate, Results
from sparsepath.artifacts.store import safe_join
from sparsepath.errors import RunError
from sparsepath.runtime.locate import RESULTS
from sparsepath.server.auth import Principal, asker
from sparsepath.server.pathways_schema import (
    Importance,
    MeasuredPoint,
    Missing,
    PartsLayer,
    PathwaysOut,
    Unplaced,
    Why,
)
from sparsepath.server.runs import ANALYSIS, maybe_read, open_run
from sparsepath.server.service import Served

N_GROUPS = 16
"""Groups of neurons of a layer, at most."""

router = APIRouter(prefix="/api/v1/runs", tags=["runs"])


@router.get("/{run}/pathways")
def show_pathways(
    run: str, service: Served, _who: Annotated[Principal, Depends(asker("viewer"))]
) -> PathwaysOut:
    """Give the parts of a run's full model and what each measured candidate kept of them.

    Only what was measured is told: a candidate whose parts are in no file is named, not guessed.
    """
    place = open_run(service, run)
    results = maybe_read(place.path, RESULTS, Results)
    analysis = maybe_read(place.path, ANALYSIS, Analysis) or Analysis()
    points, unplaced = _points(place.path, results.candidates if results else [])
    layers = _layers(points, analysis.units)
    importance = _importance(analysis.units, len(layers))
    missing: dict[Missing, bool] = {
        "results": results is None or not results.candidates,
        "importance": not importance,
        "parts": not points,
    }
    return PathwaysOut(
        run=place.name,
        recommended=results.recommended.name if results and results.recommended else None,
        layers=layers,
        importance=importance,
        points=points,
        unplaced=unplaced,
        removal=analysis.removal,
        missing=[name for name, is_missing in missing.items() if is_missing],
    )


def _points(
    folder: Path, candidates: Sequence[Candidate]
) -> tuple[list[MeasuredPoint], list[Unplaced]]:
    """Find what each candidate kept; what is only measured for comparison is left out."""
    points, unplaced = [], []
    for one in candidates:
        if one.is_control:
            continue
        found = _kept(folder, one)
        if isinstance(found, str):
            unplaced.append(Unplaced(name=one.name, why=found))
        else:
            points.append(_point(one, found))
    points.sort(key=lambda point: (point.size_bytes, point.latency_ms_p50, point.name))
    return points, unplaced


def _kept(folder: Path, one: Candidate) -> list[KeptLayer] | Why:
    """Read what a candidate kept, or say why that is not known."""
    if one.kind in {"dynamic", "ensemble"}:
        return "depth-by-text" if one.kind == "dynamic" else "no-parts"
    if one.folder is None:
        return "no-parts"
    try:
        found = read_kept(safe_join(folder, one.folder))
    except RunError:
        return "broken"
    return "no-parts" if found is None else found


def _point(one: Candidate, kept: Sequence[KeptLayer]) -> MeasuredPoint:
    cost, quality, relative = one.cost, one.quality, one.relative
    return MeasuredPoint(
        name=one.name,
        kind=one.kind,
        precision=one.precision,
        parameters=cost.parameters,
        size_bytes=cost.size_bytes,
        latency_ms_p50=cost.latency_ms_p50,
        latency_ms_p95=cost.latency_ms_p95,
        speedup=relative.speedup,
        speedup_ci95=relative.speedup_ci95,
        accuracy=quality.accuracy,
        accuracy_ci95=quality.accuracy_ci95,
        accuracy_change=relative.accuracy_change,
        accuracy_change_ci95=relative.accuracy_change_ci95,
        kept=[_parts(layer) for layer in kept],
        files=[RESULTS, f"{one.folder}/{CONFIG_FILE}"],
    )


def _parts(layer: KeptLayer) -> PartsLayer:
    return PartsLayer(layer=layer.source, heads=layer.heads, n_neurons=layer.neurons)


def _layers(points: Sequence[MeasuredPoint], units: UnitReport | None) -> list[PartsLayer]:
    """Give the full model's layers, by its own file or else by the scores of its units."""
    for point in points:
        if point.kind == "full":
            return point.kept
    if units is None:
        return []
    return [
        PartsLayer(layer=layer, heads=list(range(units.n_heads)), n_neurons=n)
        for layer, n in enumerate(units.n_neurons)
    ]


def _importance(units: UnitReport | None, n_layers: int) -> list[Importance]:
    """Give the scores of a model of so many layers; of another one they would mislead."""
    if units is None or units.n_layers != n_layers:
        return []
    return [_method(name, scores) for name, scores in units.scores.items()]


def _method(name: str, scores: MethodScores) -> Importance:
    groups = [_grouped(row) for row in scores.neurons]
    return Importance(
        method=name,
        heads=_shares(scores.heads, _largest(scores.heads)),
        neurons=_shares(groups, _largest(scores.neurons)),
    )


def _grouped(row: Sequence[float | None]) -> list[float | None]:
    """Average quantiles, the highest first, over groups of neighbours."""
    values = [value for value in row if value is not None]
    n = min(N_GROUPS, len(values))
    parts = [values[i * len(values) // n : (i + 1) * len(values) // n] for i in range(n)]
    return [sum(part) / len(part) for part in parts]


def _largest(rows: Sequence[Sequence[float | None]]) -> float:
    return max((value for row in rows for value in row if value is not None), default=0.0)


def _shares(rows: Sequence[Sequence[float | None]], largest: float) -> list[list[float | None]]:
    """Divide by the strongest; below zero, by noise, becomes zero."""
    whole = largest if largest > 0 else 1.0
    return [[None if v is None else round(max(0.0, v) / whole, 4) for v in row] for row in rows]
