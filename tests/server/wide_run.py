"""A run of a model with 24 layers of 16 heads: what its files say of it, without weights."""

from pathlib import Path
from typing import Any

from tests.server.runs import candidate

from sparsepath.artifacts.analysis import (
    Analysis,
    MethodScores,
    RemovalCurve,
    RemovalPoint,
    UnitReport,
)
from sparsepath.artifacts.schema import DataSummary, Kind, Recommended, Results, RunManifest
from sparsepath.artifacts.store import write_json_atomic

N_LAYERS, N_HEADS, N_NEURONS = 24, 16, 4096

SIZES: dict[str, tuple[Kind, float, float]] = {
    "full": ("full", 0.95, 40.0),
    "sub-01": ("submodel", 0.71, 2.0),
    "sub-02": ("submodel", 0.93, 14.0),
    "cascade": ("dynamic", 0.94, 9.0),
    "damaged": ("submodel", 0.80, 5.0),
    "tf-idf": ("control", 0.75, 0.1),
}
"""Kind, accuracy and milliseconds of each candidate."""


def parts(name: str) -> list[dict[str, Any]]:
    """Say what a candidate keeps: all, three layers, or every layer but the odd ones above 12."""
    heads = list(range(N_HEADS))
    if name == "full":
        return [_layer(layer, heads, N_NEURONS) for layer in range(N_LAYERS)]
    if name == "sub-01":
        return [_layer(3, [1], 64), _layer(12, [], 512), _layer(23, [0, 15], 256)]
    return [
        _layer(layer, [h for h in heads if (h * 5 + layer * 3) % 7 < 4], 512 + 128 * layer)
        for layer in range(N_LAYERS)
        if layer < 12 or layer % 2 == 0
    ]


def _layer(source: int, heads: list[int], neurons: int) -> dict[str, Any]:
    return {"source": source, "heads": heads, "neurons": neurons, "bias": True}


def importance(layer: int, place: int) -> float:
    """Give a score that differs from unit to unit."""
    return ((layer * 37 + place * 53) % 101) ** 2 / 100.0


def write_wide_run(run: Path) -> Path:
    """Write the run; one configuration is damaged."""
    for name, (kind, _, _) in SIZES.items():
        if kind in {"full", "submodel"}:
            config = {"model_type": "sparsepath_classifier", "layers": parts(name)}
            write_json_atomic(run / "models" / name / "config.json", config)
    (run / "models" / "damaged" / "config.json").write_text('{"model_type": "spars')
    found = [candidate(name, *figures) for name, figures in SIZES.items()]
    data = DataSummary(rows_train=9, rows_valid=9, rows_test=9, labels=["a", "b"], sha256="0")
    recommended = Recommended(name="sub-02", rule="a rule", why="a reason")
    results = Results(data=data, candidates=found, recommended=recommended)
    write_json_atomic(run / "results.json", results)
    write_json_atomic(run / "analysis.json", Analysis(units=_units(), removal=[_curve()]))
    manifest = RunManifest(
        command=["sparsepath", "poc"], created_utc="2026-11-21T09:30:00Z", status="done"
    )
    write_json_atomic(run / "run.json", manifest)
    return run


def _units() -> UnitReport:
    heads = [[importance(layer, h) for h in range(N_HEADS)] for layer in range(N_LAYERS)]
    neurons = [
        sorted((importance(layer, i) for i in range(128)), reverse=True)
        for layer in range(N_LAYERS)
    ]
    scores = {"gradient": MethodScores(heads=heads, neurons=neurons, layers=[1.0] * N_LAYERS)}
    counts = [N_NEURONS] * N_LAYERS
    return UnitReport(n_layers=N_LAYERS, n_heads=N_HEADS, n_neurons=counts, scores=scores)


def _curve() -> RemovalCurve:
    points = [
        RemovalPoint(fraction=0.0, accuracy=0.95, accuracy_ci95=(0.9, 0.98), n=48),
        RemovalPoint(fraction=0.5, accuracy=0.8, accuracy_ci95=(0.7, 0.88), n=48),
    ]
    return RemovalCurve(order="least-first", method="gradient", points=points)
