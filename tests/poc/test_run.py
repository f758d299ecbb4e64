"""A whole PoC on a small table: what it leaves, that it goes on after kill -9, what it refuses."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tests import warm
from transformers import AutoModelForSequenceClassification

from sparsepath.artifacts.analysis import Analysis
from sparsepath.artifacts.answers import ANSWERS_FILE, Answers
from sparsepath.artifacts.explanation import ExplanationRecord
from sparsepath.artifacts.schema import Results, RunManifest
from sparsepath.artifacts.store import read_json, read_jsonl
from sparsepath.config import PocOptions
from sparsepath.errors import RunError
from sparsepath.models.save import load_classifier
from sparsepath.poc import run_poc
from sparsepath.poc.dynamic import LEAST_INT8_SECONDS, run_dynamic
from sparsepath.poc.explain import ROWS_LEFT
from sparsepath.poc.plan import STAGE_WEIGHTS, TimePlan
from sparsepath.poc.progress import Progress
from sparsepath.poc.state import load_state, save_state
from sparsepath.poc.workspace import Workspace
from sparsepath.report.write import write_report
from sparsepath.runtime.engine import load_engine

MINUTES = 0.8


def command(table: Path, base_folder: Path, out: Path) -> list[str]:
    """Give the command line of a small PoC."""
    line = ["-m", "sparsepath", "poc", str(table), "--model", str(base_folder)]
    return [*line, "--minutes", str(MINUTES), "--out", str(out), "--seed", "1"]


@pytest.fixture(scope="module")
def killed_run(
    tmp_path_factory: pytest.TempPathFactory, table: Path, base_folder: Path
) -> tuple[Path, list[str]]:
    """A PoC that was killed in every one of its stages, and in which stages that happened."""
    out = tmp_path_factory.mktemp("runs") / "killed"
    killed = []
    for stage in list(STAGE_WEIGHTS)[:-1]:
        line = command(table, base_folder, out)
        with warm.Warm(line) as process:
            for said in process.stderr:
                if f"] {stage}: about" in said:
                    time.sleep(0.05)
                    os.kill(process.pid, signal.SIGKILL)
                    killed.append(stage)
                    break
    done = warm.run(command(table, base_folder, out))
    assert done.returncode == 0, done.stderr
    return out, killed


@pytest.fixture(scope="module")
def results(killed_run: tuple[Path, list[str]]) -> Results:
    """What the run measured."""
    return read_json(killed_run[0] / "results.json", Results)


def test_a_run_goes_on_after_kill_9_in_every_stage(killed_run: tuple[Path, list[str]]) -> None:
    out, killed = killed_run
    assert killed == list(STAGE_WEIGHTS)[:-1]
    manifest = read_json(out / "run.json", RunManifest)
    assert manifest.status == "done"
    stages = [stage.name for stage in read_json(out / "analysis.json", Analysis).stages]
    assert stages == list(STAGE_WEIGHTS)[:-1]
    leftovers = [p for p in out.rglob("*") if ".partial" in p.name or p.name.endswith(".tmp")]
    assert leftovers == []


def test_the_run_has_every_kind_of_candidate(results: Results) -> None:
    names = {candidate.name for candidate in results.candidates}
    assert {"full", "full-int8", "tf-idf", "frozen-encoder", "word-embeddings"} <= names
    # Half of the targets of a short run are extracted however little time is left.
    assert sum(c.kind == "submodel" and c.precision == "fp32" for c in results.candidates) >= 5
    assert sum(c.kind == "dynamic" for c in results.candidates) >= 2
    assert any(c.pareto for c in results.candidates)
    assert results.recommended is not None
    chosen = results.candidate(results.recommended.name)
    assert chosen is not None
    assert not chosen.is_control


def test_the_recommended_candidate_is_shown_label_by_label(
    killed_run: tuple[Path, list[str]], results: Results
) -> None:
    analysis = read_json(killed_run[0] / "analysis.json", Analysis)
    assert results.recommended is not None
    for shown in (analysis.per_label, analysis.confusion, analysis.calibration):
        assert {results.recommended.name, "full"} <= set(shown)


def test_every_answer_is_kept_as_it_was_counted(
    killed_run: tuple[Path, list[str]], results: Results
) -> None:
    with Answers(killed_run[0] / ANSWERS_FILE) as answers:
        assert {*answers.candidates} == {one.name for one in results.candidates}
        for one in results.candidates:
            right = answers.of(one.name).labels == answers.truth
            assert right.mean() == pytest.approx(one.quality.accuracy)
        assert len(answers.rows(range(len(answers.truth)))) == results.data.rows_test


def test_figures_agree_with_the_answers_of_the_models(
    killed_run: tuple[Path, list[str]], results: Results
) -> None:
    rows = json.loads((killed_run[0] / "work" / "rows.json").read_text())
    texts = [rows["texts"][i] for i in rows["test"]]
    truth = np.array([rows["label_ids"][i] for i in rows["test"]])
    for candidate in results.candidates:
        if candidate.folder is None:
            continue
        engine = load_engine(killed_run[0] / candidate.folder, precision=candidate.precision)
        accuracy = float((engine.predict(texts).argmax(axis=1) == truth).mean())
        assert candidate.quality.accuracy == pytest.approx(accuracy, abs=0.03), candidate.name
        low, high = candidate.quality.accuracy_ci95
        assert low <= candidate.quality.accuracy <= high
        assert candidate.cost.latency_ms_p50 <= candidate.cost.latency_ms_p95


def test_onnx_and_hugging_face_folders_give_the_same_logits(
    killed_run: tuple[Path, list[str]], results: Results
) -> None:
    text = "my card is stolen please help"
    for candidate in results.candidates:
        if candidate.folder is None or candidate.kind not in {"full", "submodel"}:
            continue
        folder = killed_run[0] / candidate.folder
        model, tokenizer = load_classifier(folder)
        auto = AutoModelForSequenceClassification.from_pretrained(folder)
        ids = torch.tensor([tokenizer.encode(text).ids])
        with torch.no_grad():
            expected = model(ids).logits
            torch.testing.assert_close(auto(ids).logits, expected)
        found = np.log(load_engine(folder).predict([text]))
        gap = found - expected.log_softmax(-1).numpy()
        assert float(np.abs(gap).max()) < 1e-4, candidate.name


def test_sub_models_are_physically_smaller(
    killed_run: tuple[Path, list[str]], results: Results
) -> None:
    full = results.candidate("full")
    assert full is not None
    submodels = [c for c in results.candidates if c.kind == "submodel" and c.precision == "fp32"]
    assert all(c.cost.parameters < full.cost.parameters for c in submodels)
    assert all(c.shape is not None and len(c.shape.layers) <= 2 for c in submodels)
    lightest = min(
        (killed_run[0] / str(c.folder) / "model.safetensors").stat().st_size for c in submodels
    )
    whole = (killed_run[0] / "models" / "full" / "model.safetensors").stat().st_size
    assert lightest < whole / 2


def test_every_explanation_has_its_own_test_with_twenty_random_sets(
    killed_run: tuple[Path, list[str]],
) -> None:
    records = read_jsonl(killed_run[0] / "explanations.jsonl", ExplanationRecord)
    assert records
    assert len({record.row_id for record in records}) == len(records)
    for record in records:
        assert len(record.test.random_margin_kept) == 20
        assert record.model_sha256
        assert record.tokens


def test_int8_cascades_are_chosen_by_what_int8_engines_answer(
    killed_run: tuple[Path, list[str]], tmp_path: Path, table: Path, base_folder: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(killed_run[0], folder)
    state = load_state(folder)
    assert state is not None
    state.drafts = [d for d in state.drafts if d.kind != "dynamic" and d.precision == "fp32"]
    plan = TimePlan(60.0, 0.0)
    options = PocOptions(data=table, model=str(base_folder), out=folder, minutes=MINUTES, seed=1)
    work = Workspace(options, state, plan, Progress(plan))
    run_dynamic(work, LEAST_INT8_SECONDS)
    cascades = [d for d in state.drafts if d.kind == "dynamic" and d.precision == "int8"]
    assert cascades
    truth = work.valid.labels.numpy()
    for draft in cascades:
        assert draft.folder is not None
        assert draft.stages == [name for name in draft.stages if name.endswith("-int8")]
        engine = load_engine(work.path(draft.folder), precision="int8")
        right = engine.predict(work.valid.texts, 32).argmax(axis=1) == truth
        assert draft.accuracy_valid == pytest.approx(float(right.mean()), abs=1.5 / len(truth))
    full = state.draft("full-int8")
    full_right = load_engine(work.path("models/full"), precision="int8").predict(work.valid.texts)
    accuracy = float((full_right.argmax(axis=1) == truth).mean())
    assert full.accuracy_valid == pytest.approx(accuracy, abs=1.5 / len(truth))


def test_the_same_command_again_changes_no_model(
    killed_run: tuple[Path, list[str]], table: Path, base_folder: Path
) -> None:
    out = killed_run[0]
    before = {p: p.stat().st_mtime_ns for p in (out / "models").rglob("*") if p.is_file()}
    options = PocOptions(
        data=table, model=str(base_folder), out=out, minutes=MINUTES, seed=1, lang="ja"
    )
    run_poc(options, write_report)
    after = {p: p.stat().st_mtime_ns for p in (out / "models").rglob("*") if p.is_file()}
    assert after == before
    assert 'lang="ja"' in (out / "report.html").read_text(encoding="utf-8")


def test_more_minutes_explain_the_rows_that_were_left_and_change_no_model(
    killed_run: tuple[Path, list[str]], tmp_path: Path, table: Path, base_folder: Path
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(killed_run[0], out)
    path = out / "explanations.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text(lines[0], encoding="utf-8")
    state = load_state(out)
    assert state is not None
    state.facts[ROWS_LEFT] = len(lines) - 1
    save_state(out, state)
    before = {p: p.stat().st_mtime_ns for p in (out / "models").rglob("*") if p.is_file()}
    run_poc(
        PocOptions(data=table, model=str(base_folder), out=out, minutes=MINUTES + 1.0, seed=1),
        write_report,
    )
    records = read_jsonl(path, ExplanationRecord)
    assert len({record.row_id for record in records}) == len(records) >= len(lines)
    stages = [record.name for record in read_json(out / "analysis.json", Analysis).stages]
    assert stages == list(STAGE_WEIGHTS)[:-1]
    after = {p: p.stat().st_mtime_ns for p in (out / "models").rglob("*") if p.is_file()}
    assert after == before


def test_another_run_in_the_folder_is_refused_and_kept(
    killed_run: tuple[Path, list[str]], table: Path, base_folder: Path
) -> None:
    out = killed_run[0]
    options = PocOptions(data=table, model=str(base_folder), out=out, minutes=MINUTES, seed=2)
    with pytest.raises(RunError, match="its seed was 1, now it is 2"):
        run_poc(options, write_report)
    assert read_json(out / "run.json", RunManifest).status == "done"


def test_a_folder_with_other_files_is_refused_and_kept(tmp_path: Path, table: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match="holds no run"):
        run_poc(PocOptions(data=table, out=tmp_path), write_report)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]
