"""Runs a whole PoC per seed in a fresh process and reads the figures of its run folders."""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from sparsepath.artifacts.analysis import Analysis
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.explanation import ExplanationRecord
from sparsepath.artifacts.provenance import machine, now_utc, package_versions
from sparsepath.artifacts.schema import Candidate, Results, RunManifest
from sparsepath.artifacts.store import read_json, read_jsonl
from sparsepath.evaluate.quality import wilson_interval
from sparsepath.runtime.engine import load_engine

Interval = tuple[float, float]

TAUGHT = "learnt from the full model"
"""Part of the note of candidates that were distilled."""

_ANSWERED: dict[tuple[int, str], np.ndarray] = {}
"""What `_labels` found before, by seed and candidate."""

BATCH = 32
"""Texts that go through a graph together where only the answer matters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One table and the figures that are wanted on it."""

    name: str
    minutes: float
    accuracy_target: float | None
    """Accuracy of the full model."""
    lead_target: float | None
    """Points of the full model above TF-IDF and above the frozen encoder."""
    speed_targets: tuple[tuple[float, float], ...]
    """(points of accuracy that may be lost, times faster)."""
    dynamic_target: float | None
    """Points of the best dynamic candidate above the static line."""
    int8_target: float | None
    """Times faster than the full model in int8 at no lower accuracy."""
    group_column: str | None = None
    """Column whose equal cells keep rows together."""


class Run(NamedTuple):
    """What one run left."""

    seed: int
    place: Path
    manifest: RunManifest
    results: Results
    analysis: Analysis
    explanations: list[ExplanationRecord]


def run_task(
    task: Task, prepare: Callable[[Path, Path, int], tuple[Path, Path]], script: str
) -> None:
    """Parse the command line, run the task per seed, print and keep the rows.

    Args:
        task: What is measured.
        prepare: Makes training and test files from the data folder, in a folder, for a seed.
        script: Name of the benchmark.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, help="folder with the files that the script names")
    parser.add_argument("--model", help="base model, as for `sparsepath poc`")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=task.minutes)
    parser.add_argument("--runs", type=Path, default=Path("runs") / "benchmarks")
    given = parser.parse_args()
    if given.data is None:
        rows = [_missing(task, script)]
    else:
        runs = [_run(task, prepare, given, seed) for seed in given.seeds]
        rows = _rows(task, runs, f"sparsepath bench {script} --data DATA", given)
        # Without data nothing is measured, and what was measured before stays.
        write_rows(Path("benchmarks/results") / f"{script}.json", rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def _run(
    task: Task,
    prepare: Callable[[Path, Path, int], tuple[Path, Path]],
    given: argparse.Namespace,
    seed: int,
) -> Run:
    """Run one PoC, or take the one that is there."""
    place = given.runs / f"{task.name}-{given.minutes:g}min-seed{seed}"
    data = given.runs / f"data-{task.name}-seed{seed}"
    data.mkdir(parents=True, exist_ok=True)
    train, test = prepare(given.data, data, seed)
    command = [sys.executable, "-m", "sparsepath", "poc", str(train), "--test", str(test)]
    command += ["--minutes", f"{given.minutes:g}", "--seed", str(seed), "--out", str(place)]
    command += ["--model", given.model] if given.model else []
    command += ["--group-column", task.group_column] if task.group_column else []
    subprocess.run(command, check=True, stdout=sys.stderr)
    return read_run(place, seed)


def read_run(place: Path, seed: int) -> Run:
    """Read what a run left."""
    return Run(
        seed,
        place,
        read_json(place / "run.json", RunManifest),
        read_json(place / "results.json", Results),
        read_json(place / "analysis.json", Analysis),
        read_jsonl(place / "explanations.jsonl", ExplanationRecord),
    )


def _missing(task: Task, script: str) -> BenchmarkRow:
    """Say that the data is not there."""
    return BenchmarkRow(
        figure=f"{task.name}: all figures",
        value=None,
        unit="",
        better="higher",
        command=f"sparsepath bench {script} --data DATA",
        date=now_utc()[:10],
        note="needs --data, the folder with the task's files",
    )


class _Figure(NamedTuple):
    """A figure before it is a row."""

    name: str
    values: list[float]
    unit: str
    target: float | None
    better: str = "higher"
    note: str = ""
    ci95: Interval | None = None
    peer: str | None = None


def _rows(
    task: Task, runs: Sequence[Run], command: str, given: argparse.Namespace
) -> list[BenchmarkRow]:
    """Compute every figure over the seeds."""
    figures = [
        *_full(task, runs),
        *_speed(task, runs),
        *_of_any_kind(task, runs),
        *_agreement_of_full(runs),
        *_against_int8(task, runs),
        *_dynamic(task, runs),
        *_controls(runs),
        *_process(runs),
        *_explained(runs),
    ]
    facts = machine()
    rows_n = sum(run.results.data.rows_test for run in runs)
    return [
        BenchmarkRow(
            figure=f"{task.name}: {f.name}",
            value=statistics.fmean(f.values) if f.values else None,
            unit=f.unit,
            better="lower" if f.better == "lower" else "higher",
            target=f.target,
            peer=f.peer,
            ci95=f.ci95 or _interval(f.values),
            n=rows_n,
            threads=1,
            machine=str(facts.get("cpu", "")),
            versions=package_versions(),
            command=command,
            date=now_utc()[:10],
            note="; ".join(
                part
                for part in (
                    f"{len(f.values)} seeds, --minutes {given.minutes:g}",
                    f"per seed {[round(v, 4) for v in f.values]}",
                    f.note,
                )
                if part
            ),
        )
        for f in figures
    ]


def _interval(values: Sequence[float]) -> Interval | None:
    """Student's 95 % interval over the seeds; None for fewer than two."""
    if len(values) < 2:
        return None
    half = float(student_t.ppf(0.975, len(values) - 1)) * statistics.stdev(values)
    half /= math.sqrt(len(values))
    mean = statistics.fmean(values)
    return mean - half, mean + half


def _candidate(run: Run, name: str) -> Candidate | None:
    """Find a candidate by name."""
    return run.results.candidate(name)


def _full(task: Task, runs: Sequence[Run]) -> list[_Figure]:
    """Accuracy of the full model and its lead over plain models."""
    accuracies, n = [], 0
    for run in runs:
        accuracies.append(_need(run, "full").quality.accuracy)
        n += run.results.data.rows_test
    pooled = wilson_interval(round(statistics.fmean(accuracies) * n), n)
    found = [
        _Figure(
            "full model, accuracy",
            accuracies,
            "",
            task.accuracy_target,
            ci95=(pooled[0], pooled[1]),
        )
    ]
    for control in ("tf-idf", "frozen-encoder", "word-embeddings"):
        leads = [
            100 * (_need(run, "full").quality.accuracy - _need(run, control).quality.accuracy)
            for run in runs
        ]
        target = None if control == "word-embeddings" else task.lead_target
        found.append(_Figure(f"full model above {control}", leads, "points", target))
    return found


def _need(run: Run, name: str) -> Candidate:
    """Find a candidate that every run has."""
    found = run.results.candidate(name)
    assert found is not None, f"no candidate {name} in the run of seed {run.seed}"
    return found


def _slots(run: Run) -> dict[str, Candidate]:
    """The fp32 sub-models of a run by what they have in common over seeds.

    Which layers and units are kept differs from seed to seed. Those that learnt from the full model
    are counted from the lightest one; the others keep the number of their target.
    """
    ours = [c for c in run.results.candidates if c.kind == "submodel" and c.precision == "fp32"]
    ours.sort(key=lambda c: c.cost.latency_ms_p50)
    taught = [c for c in ours if TAUGHT in (c.note or "")]
    slots = {c.name: c for c in ours if c not in taught}
    return slots | {f"distilled sub-model {n + 1}": c for n, c in enumerate(taught)}


def _speed(task: Task, runs: Sequence[Run]) -> list[_Figure]:
    """The fastest sub-model whose mean loss over the seeds stays within so many points."""
    slots = [_slots(run) for run in runs]
    common = sorted(set.intersection(*(set(slot) for slot in slots)))
    found = []
    for points, target in task.speed_targets:
        best: _Figure | None = None
        for name in common:
            candidates = [slot[name] for slot in slots]
            changes = [100 * c.relative.accuracy_change for c in candidates]
            change = statistics.fmean(changes)
            speeds = [c.relative.speedup for c in candidates]
            is_faster = best is None or statistics.fmean(speeds) > statistics.fmean(best.values)
            if change >= -points and is_faster:
                note = f"{name}, mean change {change:+.2f} points, per seed {_rounded(changes)}"
                best = _Figure(
                    f"sub-model within {points:g} points", speeds, "x", target, note=note
                )
        empty = _Figure(f"sub-model within {points:g} points", [], "x", target, note="none")
        found.append(best or empty)
    for name in (n for n in common if n.startswith("distilled")):
        candidates = [slot[name] for slot in slots]
        speed = statistics.fmean(c.relative.speedup for c in candidates)
        losses = [100 * c.relative.accuracy_change for c in candidates]
        note = f"{speed:.1f} times as fast as the full model in fp32"
        found.append(_Figure(f"{name}, change of accuracy", losses, "points", None, note=note))
        pairs = [(run, c.name) for run, c in zip(runs, candidates, strict=True)]
        all_rows = [100 * float((_is_right(*p) - _is_right(p[0], "full")).mean()) for p in pairs]
        note = f"same label as the full model: {[round(_agreement(*p), 4) for p in pairs]}"
        figure = f"{name}, change of accuracy on all test rows"
        found.append(_Figure(figure, all_rows, "points", None, note=note))
    return found


def _of_any_kind(task: Task, runs: Sequence[Run]) -> list[_Figure]:
    """The fastest candidate, cascades and int8 too, whose mean loss stays within so many points."""
    names = set.intersection(
        *({c.name for c in run.results.candidates if not c.is_control} for run in runs)
    )
    found = []
    for points, _ in task.speed_targets:
        figure = f"candidate of any kind within {points:g} points"
        best = _Figure(figure, [], "x", None, note="none")
        for name in sorted(names - {"full", "full-int8"}):
            relative = [_need(run, name).relative for run in runs]
            changes = [100 * r.accuracy_change for r in relative]
            speeds = [r.speedup for r in relative]
            is_faster = not best.values or statistics.fmean(speeds) > statistics.fmean(best.values)
            if statistics.fmean(changes) >= -points and is_faster:
                note = f"{name}, mean change {statistics.fmean(changes):+.2f} points"
                best = _Figure(figure, speeds, "x", None, note=f"{note}, {_rounded(changes)}")
        found.append(best)
    return found


def _agreement(run: Run, name: str) -> float:
    """Share of all test rows on which a candidate gives the full model's label."""
    return float((_labels(run, name) == _labels(run, "full")).mean())


def _agreement_of_full(runs: Sequence[Run]) -> list[_Figure]:
    """Share of test rows on which the full models of two seeds agree, if the rows are the same."""
    if not _have_same_rows(runs):
        return []
    labels = [_labels(run, "full") for run in runs]
    shares = [float((a == b).mean()) for a, b in combinations(labels, 2)]
    return [_Figure("full models of two seeds, same label", shares, "", None, note="all test rows")]


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 2) for value in values]


def _against_int8(task: Task, runs: Sequence[Run]) -> list[_Figure]:
    """The fastest candidates that are no less accurate than the full model in int8.

    Two readings: the mean over the seeds is no lower, and the interval of the paired difference
    over all rows holds zero or lies above it.
    """
    names = set.intersection(
        *({c.name for c in run.results.candidates if not c.is_control} for run in runs)
    )
    speeds = {
        name: [_against(_need(run, "full-int8"), _need(run, name)) for run in runs]
        for name in names - {"full", "full-int8"}
    }
    order = sorted(speeds, key=lambda name: -statistics.fmean(speeds[name]))
    found: list[_Figure] = []
    for reading in ("by the mean", "by the interval"):
        figure = f"against the full model in int8, at no lower accuracy {reading}"
        found.append(_Figure(figure, [], "x", task.int8_target, note="none"))
        for name in order:
            mean, (low, high) = _paired(runs, name, "full-int8")
            if (mean if reading == "by the mean" else high) < 0:
                continue
            change = f"{100 * mean:+.2f} ({100 * low:+.2f} to {100 * high:+.2f}) points"
            found[-1] = _Figure(
                figure,
                speeds[name],
                "x",
                task.int8_target,
                note=f"{name}, {change}",
                peer="full model, ONNX Runtime int8",
            )
            break
    return found


def _against(peer: Candidate, ours: Candidate) -> float:
    """How many times faster one is than the other."""
    return _latency(peer, ours) / _latency(ours, ours)


def _paired(runs: Sequence[Run], name: str, peer: str) -> tuple[float, Interval]:
    """Difference in accuracy over all test rows, with the interval over rows."""
    by_run = [_is_right(run, name) - _is_right(run, peer) for run in runs]
    # Rows that are the same for all seeds are one observation, not one for each seed.
    gaps = np.mean(by_run, axis=0) if _have_same_rows(runs) else np.concatenate(by_run)
    mean, half = float(gaps.mean()), 1.96 * float(gaps.std()) / len(gaps) ** 0.5
    return mean, (mean - half, mean + half)


def _have_same_rows(runs: Sequence[Run]) -> bool:
    """Say whether the test files of all runs hold the same texts at the same places."""
    found = []
    for run in runs:
        rows = json.loads((run.place / "work" / "rows.json").read_text(encoding="utf-8"))
        found.append(sorted((rows["row_ids"][i], rows["texts"][i]) for i in rows["test"]))
    return all(rows == found[0] for rows in found)


def _is_right(run: Run, name: str) -> NDArray[np.float64]:
    """Which rows of the whole test file a candidate has right, as 0 or 1."""
    rows = json.loads((run.place / "work" / "rows.json").read_text(encoding="utf-8"))
    truth = np.array([rows["label_ids"][i] for i in rows["test"]])
    order = np.argsort([rows["row_ids"][i] for i in rows["test"]])
    found: NDArray[np.float64] = (_labels(run, name) == truth[order]).astype(float)
    return found


def _labels(run: Run, name: str) -> np.ndarray:
    """What a candidate answers to the whole test file; its models answer once more.

    Rows come in the order of the file, so that the same place is the same row for all seeds.
    """
    key = (run.seed, name)
    if key not in _ANSWERED:
        place, candidate = run.place, _need(run, name)
        rows = json.loads((place / "work" / "rows.json").read_text(encoding="utf-8"))
        assert candidate.folder is not None
        engine = load_engine(
            place / candidate.folder, threads=os.cpu_count() or 1, precision=candidate.precision
        )
        answers = engine.predict([rows["texts"][i] for i in rows["test"]], BATCH)
        order = np.argsort([rows["row_ids"][i] for i in rows["test"]])
        _ANSWERED[key] = answers.argmax(axis=1)[order]
    return _ANSWERED[key]


def _latency(candidate: Candidate, beside: Candidate) -> float:
    """Median latency; the mean where one that chooses its depth per text is compared."""
    cost = candidate.cost
    mean = cost.latency_ms_mean
    return mean if beside.kind == "dynamic" and mean is not None else cost.latency_ms_p50


def _dynamic(task: Task, runs: Sequence[Run]) -> list[_Figure]:
    """Points of each dynamic candidate above the static line at equal mean latency."""
    names = set.intersection(*({d.name for d in run.analysis.dynamic} for run in runs))
    found = []
    for name in sorted(names):
        gaps = [
            100 * d.difference
            for run in runs
            for d in run.analysis.dynamic
            if d.name == name and d.difference is not None
        ]
        found.append(_Figure(f"{name} above the static line", gaps, "points", task.dynamic_target))
    return found


def _controls(runs: Sequence[Run]) -> list[_Figure]:
    """Points of the sub-model line above each kind of control at the control's latency."""
    found = []
    controls = [_control_slots(run) for run in runs]
    for slot in sorted(set.intersection(*(set(names) for names in controls))):
        gaps = [_above(run, names[slot]) for run, names in zip(runs, controls, strict=True)]
        figure = f"sub-model line above {slot}"
        found.append(_Figure(figure, gaps, "points", 0.0, note="target: above 0"))
    return found


def _control_slots(run: Run) -> dict[str, str]:
    """Name the controls of a run by the distilled sub-model beside which they were trained."""
    slots = {c.name: slot for slot, c in _slots(run).items()}
    found = {}
    for candidate in run.results.candidates:
        kind, _, name = candidate.name.rpartition("-sub-")
        if kind in {"random", "layer-drop", "scratch"}:
            found[f"{kind} beside {slots[f'sub-{name}']}"] = candidate.name
    return found


def _above(run: Run, control: str) -> float:
    """Accuracy of the sub-model line at a control's latency, minus the control's, in points."""
    points = sorted(
        (c.cost.latency_ms_p50, c.quality.accuracy)
        for c in run.results.candidates
        if c.kind in {"submodel", "full"} and c.precision == "fp32"
    )
    best, line = -1.0, []
    for cost, accuracy in points:
        if accuracy > best:
            best = accuracy
            line.append((cost, accuracy))
    other = _need(run, control)
    at = np.interp(
        math.log(other.cost.latency_ms_p50), [math.log(c) for c, _ in line], [a for _, a in line]
    )
    return 100 * (float(at) - other.quality.accuracy)


def _process(runs: Sequence[Run]) -> list[_Figure]:
    """Sub-models, the time they took, the latency model, the time of all."""
    seconds, counts, hits, overrun = [], [], [], []
    for run in runs:
        stages = {stage.name: stage.wall_s for stage in run.analysis.stages}
        seconds.append((stages["score"] + stages["extract"]) / 60)
        counts.append(
            float(
                sum(c.kind == "submodel" and c.precision == "fp32" for c in run.results.candidates)
            )
        )
        fits = run.analysis.latency_fit
        hits.append(statistics.fmean(abs(f.predicted_ms / f.measured_ms - 1) <= 0.1 for f in fits))
        minutes = run.manifest.config["minutes"]
        assert isinstance(minutes, int | float)
        overrun.append(run.manifest.wall_s / 60 / minutes)
    return [
        _Figure("sub-models extracted and measured", counts, "", 20),
        _Figure("time to score and extract them", seconds, "min", 10, better="lower"),
        _Figure("latency predicted within 10 %, share of sub-models", hits, "", 0.9),
        _Figure("time taken over --minutes", overrun, "", 1.1, better="lower"),
    ]


def _explained(runs: Sequence[Run]) -> list[_Figure]:
    """Share of the margin that the named tenth of the units keeps, and a random tenth."""
    kept, chance, raw, n, n_all = [], [], [], 0, 0
    for run in runs:
        tests = [record.test for record in run.explanations if record.test.units_decide]
        n, n_all = n + len(tests), n_all + len(run.explanations)
        kept.append(statistics.fmean(test.margin_kept for test in tests))
        chance.append(statistics.fmean(statistics.fmean(t.random_margin_kept) for t in tests))
        raw.append(statistics.fmean(test.margin_kept_raw for test in tests))
    note = f"{n} test rows, without {n_all - n} that word embeddings decide; "
    note += "0 is every unit at its mean, 1 the whole model"
    return [
        _Figure("margin kept by the named 10 % of units", kept, "", 0.9, note=note),
        _Figure("margin kept by a random 10 %", chance, "", 0.3, better="lower", note=note),
        _Figure("margin kept by the named 10 %, raw share", raw, "", None),
    ]
