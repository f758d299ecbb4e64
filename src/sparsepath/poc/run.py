"""The main job: from a labelled table to measured candidates, explanations and a report.

Eleven stages, each of which leaves what it found in the run folder. A run that was interrupted goes
on at the first stage that is not finished, with the time that is left.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sparsepath.artifacts.analysis import StageRecord
from sparsepath.artifacts.provenance import machine, now_utc, package_versions
from sparsepath.artifacts.schema import RunManifest
from sparsepath.artifacts.store import write_json_atomic
from sparsepath.config import Language, PocOptions
from sparsepath.errors import RunError, SparsepathError
from sparsepath.poc.analysis import update_analysis
from sparsepath.poc.baselines import run_baselines
from sparsepath.poc.distil import run_distil
from sparsepath.poc.dynamic import run_dynamic
from sparsepath.poc.explain import ROWS_LEFT, run_explain
from sparsepath.poc.full import run_full
from sparsepath.poc.measure import run_measure
from sparsepath.poc.plan import STAGE_WEIGHTS, TimePlan
from sparsepath.poc.progress import Progress, format_seconds
from sparsepath.poc.rows import read_rows
from sparsepath.poc.score import run_score
from sparsepath.poc.state import PocState, load_state, save_state
from sparsepath.poc.submodels import run_extract
from sparsepath.poc.topk import run_topk
from sparsepath.poc.workspace import Workspace

Stage = Callable[[Workspace, float], str]

WriteReport = Callable[[Path, Language], Path]

LEAST_MORE_SECONDS = 10.0
"""With less time left, a finished stage is not gone on with."""

CHANGEABLE = ("lang", "minutes", "threads", "target_latency_ms", "target_size_mb", "min_accuracy")
"""Options that may differ when a run goes on: they change no model."""


def run_poc(options: PocOptions, write_report: WriteReport, *, spent_s: float = 0.0) -> Path:
    """Measure how light a model gets on a table, and leave models and a report.

    Args:
        options: What to do; `options.out` is the run folder, which a second call with the same
            options continues.
        write_report: Makes `report.html` of a run folder in a language; views are above this layer.
        spent_s: Seconds that count although they are over, as those that the command took to start;
            not where a run goes on.

    Returns:
        The run folder.

    Raises:
        DataError: if the table cannot be used.
        ModelError: if the base model cannot be used.
        RunError: if the run folder cannot be used.
    """
    state = _open(options)
    plan = TimePlan(options.minutes * 60, state.used_s or spent_s)
    progress = Progress(plan)
    work = Workspace(options, state, plan, progress)
    threads = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    try:
        for name, stage in STAGES.items():
            if state.is_done(name) and not _goes_on(work, name):
                progress.note(f"{name}: done before, kept")
                continue
            _run_stage(work, name, stage)
        _write_manifest(work, "done", None)
        update_analysis(work.folder, stages=state.stages)
        write_report(work.folder, options.lang)
    except (SparsepathError, KeyboardInterrupt) as err:
        state.used_s = plan.used_s
        save_state(work.folder, state)
        is_error = isinstance(err, SparsepathError)
        _write_manifest(work, "failed" if is_error else "running", str(err) if is_error else None)
        raise
    finally:
        torch.set_num_threads(threads)
    progress.note(f"finished in {format_seconds(plan.used_s)}")
    return work.folder


def _goes_on(work: Workspace, name: str) -> bool:
    """Say whether a finished stage has more to do, now that the run was given more minutes."""
    rows_left = work.state.facts.get(ROWS_LEFT)
    has_more = name == "explain" and isinstance(rows_left, int) and rows_left > 0
    return has_more and work.plan.budget_s(name) >= LEAST_MORE_SECONDS


def _run_stage(work: Workspace, name: str, stage: Stage) -> None:
    """Run one stage and record what it took and what was learnt; its earlier part counts."""
    earlier = [record for record in work.state.stages if record.name == name]
    work.state.stages = [record for record in work.state.stages if record.name != name]
    budget_s, start_s = work.plan.budget_s(name), work.plan.used_s
    with work.progress.stage(name, budget_s):
        learnt = stage(work, budget_s)
    wall_s = work.plan.used_s - start_s + sum(record.wall_s for record in earlier)
    budget_s += sum(record.planned_s or 0.0 for record in earlier)
    work.state.stages.append(
        StageRecord(name=name, planned_s=budget_s, wall_s=wall_s, learnt=learnt)
    )
    work.state.used_s = work.plan.used_s
    save_state(work.folder, work.state)
    work.progress.note(f"{name}: {learnt} ({format_seconds(wall_s)})")


def _open(options: PocOptions) -> PocState:
    """Find or make the run folder; refuse one that belongs to something else."""
    folder = options.out
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file", hint="give --out a folder that is new or a run")
    state = load_state(folder) if folder.exists() else None
    config = _plain(options)
    if state is None:
        if folder.exists() and any(folder.iterdir()):
            raise RunError(
                f"{folder} is not empty and holds no run",
                hint="give --out a new folder",
            )
        state = PocState(options=config, created_utc=now_utc())
        save_state(folder, state)
        return state
    changed = [
        key for key in config if key not in CHANGEABLE and state.options.get(key) != config[key]
    ]
    if changed:
        key = changed[0]
        raise RunError(
            f"{folder} holds another run: its {key} was {state.options.get(key)!r}, "
            f"now it is {config[key]!r}",
            hint="give --out a new folder, or the same options as before",
        )
    state.options = config
    return state


def _plain(options: PocOptions) -> dict[str, Any]:
    """Give the options as JSON holds them."""
    plain = {
        key: str(value) if isinstance(value, Path) else value
        for key, value in asdict(options).items()
        if key != "out"
    }
    if options.data is not None:
        plain["data"] = str(options.data.resolve())
    return plain


def _read(work: Workspace, budget_s: float) -> str:
    """Read and split the table."""
    rows = read_rows(work.options)
    write_json_atomic(work.work_folder / "rows.json", rows)
    work.state.data_sha256 = rows.sha256
    for line in [rows.facts.how_found or "", *rows.facts.warnings]:
        work.progress.note(f"  {line}")
    choice = work.encoder
    facts = rows.facts.model_copy(
        update={
            "unknown_token_share": choice.unknown_share,
            "warnings": [*rows.facts.warnings, *([choice.warning] if choice.warning else [])],
        }
    )
    if choice.warning:
        work.progress.note(f"  warning: {choice.warning}")
    update_analysis(work.folder, dataset=facts)
    _write_manifest(work, "running", None)
    return (
        f"{len(rows.train)} training, {len(rows.valid)} validation and {len(rows.test)} test rows, "
        f"{len(rows.label_names)} labels; base model: {choice.origin}"
    )


STAGES: Mapping[str, Stage] = dict(
    zip(
        list(STAGE_WEIGHTS)[:-1],
        (
            _read,
            run_baselines,
            run_full,
            run_score,
            run_extract,
            run_distil,
            run_topk,
            run_dynamic,
            run_measure,
            run_explain,
        ),
        strict=True,
    )
)
"""What each stage of the plan does; the report is written after the last."""


def _write_manifest(work: Workspace, status: Any, error: str | None) -> None:
    """Write `run.json`."""
    state = work.state
    config = {**state.options, "full_epochs": state.facts.get("full_epochs")}
    write_json_atomic(
        work.folder / "run.json",
        RunManifest(
            command=["sparsepath", *sys.argv[1:]],
            config=config,
            versions=package_versions(),
            data_sha256=state.data_sha256,
            data_path=str(work.options.data) if work.options.data else "demo",
            base_model=work.encoder.origin if state.data_sha256 else None,
            seeds={"seed": work.options.seed},
            machine=machine(),
            created_utc=state.created_utc,
            finished_utc=now_utc() if status == "done" else None,
            wall_s=work.plan.used_s,
            status=status,
            error=error,
        ),
    )
