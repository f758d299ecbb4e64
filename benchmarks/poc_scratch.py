"""The same shape trained from scratch, beside a distilled sub-model of a finished run.

    python benchmarks/poc_scratch.py --runs RUNS --task Banking77 --minutes 15 [--seeds 0 1 2]

RUNS holds the run folders that `poc_banking77` or `poc_blimp` left. In each, the lightest distilled
sub-model with layers gets a twin of the same shape with random weights, which learns from the same
answers of the full model for as many steps; both are judged on all test rows. For runs that had no
time for this control.
"""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from _poc import Run, _interval, _is_right, read_run
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.provenance import machine, now_utc, package_versions
from sparsepath.config import PocOptions
from sparsepath.models.save import load_classifier
from sparsepath.poc import distil
from sparsepath.poc.lessons import find_lessons
from sparsepath.poc.plan import TimePlan
from sparsepath.poc.progress import Progress
from sparsepath.poc.state import load_state
from sparsepath.poc.workspace import MODELS_FOLDER, Workspace
from sparsepath.train.finetune import score_on

MINUTES = 6


def main() -> None:
    """Train the twins, print and keep the row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--task", default="Banking77")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    figure = f"{given.task}: lightest distilled sub-model above the same shape from scratch"
    gaps, notes = [], ["needs --runs, a folder of finished runs"]
    if given.runs is not None:
        places = [given.runs / f"{given.task}-{given.minutes:g}min-seed{s}" for s in given.seeds]
        found = [
            _gap(read_run(place, seed)) for place, seed in zip(places, given.seeds, strict=True)
        ]
        gaps = [100 * (ours - twin) for ours, twin in found]
        notes = [f"sub-model {ours:.4f}, from scratch {twin:.4f}" for ours, twin in found]
    row = BenchmarkRow(
        figure=figure,
        value=sum(gaps) / len(gaps) if gaps else None,
        unit="points",
        better="higher",
        target=0.0,
        peer="the same shape with random weights, as many steps on the full model's answers",
        ci95=_interval(gaps),
        n=len(gaps),
        threads=2,
        machine=str(machine().get("cpu", "")),
        versions=package_versions(),
        command="sparsepath bench poc_scratch --runs RUNS",
        date=now_utc()[:10],
        note="all test rows; " + "; ".join(notes),
    )
    if gaps:
        write_rows(Path("benchmarks/results/poc_scratch.json"), [row])
    print(json.dumps([row.model_dump(mode="json")], indent=2))


def _gap(run: Run) -> tuple[float, float]:
    """Train the twin of one run; return the accuracies of the sub-model and of the twin."""
    work = _workspace(run)
    chosen = [
        draft.name
        for draft in work.state.drafts
        if draft.is_distilled and not draft.control and draft.precision == "fp32"
    ]
    chosen = sorted(chosen, key=lambda name: work.state.draft(name).predicted_ms or 0.0)[:2]
    name = f"scratch-{chosen[1]}"
    if not (work.path(MODELS_FOLDER) / name).exists():
        distil._run_controls(work, chosen, find_lessons(work, 0.0), math.inf)
    twin = load_classifier(work.path(f"{MODELS_FOLDER}/{name}")).model
    score = score_on(work.test.encoded, work.test.labels, work.pad_id)(twin)
    return float(_is_right(run, chosen[1]).mean()), score.accuracy


def _workspace(run: Run) -> Workspace:
    """Open a finished run."""
    state = load_state(run.place)
    assert state is not None, f"{run.place} holds no run"
    known: dict[str, Any] = {k: v for k, v in state.options.items() if v is not None}
    known |= {key: Path(known[key]) for key in ("data", "test") if key in known}
    options = PocOptions(**(known | {"out": run.place}))
    plan = TimePlan(1e6, 0.0)
    return Workspace(options, state, plan, Progress(plan))


if __name__ == "__main__":
    main()
