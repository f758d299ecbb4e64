"""A run folder with answers, beside a model that a server can load."""

import shutil
from pathlib import Path

import numpy as np

from sparsepath.artifacts.answers import ANSWERS_FILE, AnsweredRow, write_answers
from sparsepath.artifacts.schema import (
    Candidate,
    Cost,
    DataSummary,
    Kind,
    Quality,
    Recommended,
    Relative,
    Results,
    RunManifest,
)
from sparsepath.artifacts.store import write_json_atomic

LABELS = ["left", "right"]
HOSTILE = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"
"""Must be shown as it is, wherever a user may write."""


def candidate(name: str, kind: Kind, accuracy: float, ms: float) -> Candidate:
    return Candidate(
        name=name,
        kind=kind,
        folder=f"models/{name}",
        quality=Quality(
            accuracy=accuracy, accuracy_ci95=(accuracy - 0.03, accuracy + 0.03), macro_f1=accuracy
        ),
        cost=Cost(
            parameters=1000,
            size_bytes=int(ms * 1e7),
            latency_ms_p50=ms,
            latency_ms_p95=ms * 1.2,
            examples_per_second=1000 / ms,
        ),
        relative=Relative(
            speedup=8 / ms,
            speedup_ci95=(7 / ms, 9 / ms),
            size_ratio=ms / 8,
            accuracy_change=accuracy - 0.9,
            accuracy_change_ci95=(accuracy - 0.93, accuracy - 0.87),
        ),
        control=kind == "control",
    )


def write_run(run: Path, model: Path | None = None, *, n: int = 400) -> Path:
    """Write a run of four; the light one errs on every tenth row, the full one on every 20th."""
    rows = [AnsweredRow(7 * i, f"row {i} {'a good day ' * (1 + i % 9)}") for i in range(n)]
    rows[10] = AnsweredRow(70, HOSTILE)
    truth = np.arange(n) % 2
    answers = {}
    for name, step in {"full": 20, "light": 10, "tiny": 3, "tf-idf": 4}.items():
        said = np.where(np.arange(n) % step == 0, 1 - truth, truth)
        answers[name] = np.where(np.arange(2) == said[:, None], 0.9, 0.1).astype(np.float32)
    labels = [LABELS[0], HOSTILE] if model is None else LABELS
    run.mkdir(parents=True, exist_ok=True)
    write_answers(run / ANSWERS_FILE, labels, rows, truth, answers)
    found = [
        candidate("full", "full", 0.95, 8.0),
        candidate("light", "submodel", 0.90, 1.0),
        candidate("tiny", "submodel", 0.66, 0.2),
        candidate("tf-idf", "control", 0.75, 0.1),
    ]
    write_json_atomic(
        run / "results.json",
        Results(
            data=DataSummary(rows_train=9, rows_valid=9, rows_test=n, labels=labels, sha256="0"),
            candidates=found,
            recommended=Recommended(name="light", rule="a rule", why="a reason"),
        ),
    )
    manifest = RunManifest(
        command=["sparsepath", "poc"], created_utc="2026-11-21T09:30:00Z", status="done"
    )
    write_json_atomic(run / "run.json", manifest)
    if model is not None:
        for name in ("full", "light"):
            shutil.copytree(model, run / "models" / name)
    return run
