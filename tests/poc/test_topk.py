"""The sparse candidate: made while k falls, measured like all others, and able to explain."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from sparsepath.artifacts.analysis import Analysis
from sparsepath.artifacts.schema import Results
from sparsepath.artifacts.store import read_json
from sparsepath.cli.main import main
from sparsepath.config import PocOptions
from sparsepath.models.save import load_classifier
from sparsepath.models.topk_classifier import sparse_sites
from sparsepath.nn.topk import TopK
from sparsepath.poc.lessons import find_lessons
from sparsepath.poc.measure import run_measure
from sparsepath.poc.plan import TimePlan
from sparsepath.poc.progress import Progress
from sparsepath.poc.run import STAGES
from sparsepath.poc.state import PocState, save_state
from sparsepath.poc.topk import NAME, run_topk
from sparsepath.poc.workspace import Workspace
from sparsepath.report.write import write_report
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.export import export_model

TEXT = "my card is stolen please help"
CHECKPOINT = f"fit-{NAME}.safetensors"


class Told(Progress):
    """Notes the steps that it is told of, and can be interrupted once a state is kept."""

    def __init__(self, plan: TimePlan, interrupt_at: Path | None = None) -> None:
        super().__init__(plan)
        self.steps: list[int] = []
        self.interrupt_at = interrupt_at

    def say(self, message: str) -> None:
        if message.startswith(f"{NAME}, step "):
            self.steps.append(int(message.split()[2]))
            if self.interrupt_at is not None and self.interrupt_at.exists():
                raise KeyboardInterrupt


def workspace(out: Path, state: PocState, table: Path, base: Path, progress: Progress) -> Workspace:
    options = PocOptions(data=table, model=str(base), out=out, minutes=1.0, seed=1)
    return Workspace(options, state, TimePlan(60.0, 0.0), progress)


@pytest.fixture(scope="module")
def made(
    base_folder: Path, table: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, PocState, list[list[int]], list[int]]:
    """A run with a full model and a sparse one, interrupted while that learnt.

    Also the steps before and after the interrupt, and every k that was set.
    """
    out = tmp_path_factory.mktemp("topk") / "run"
    plan = TimePlan(60.0, 0.0)
    state = PocState(options={}, created_utc="2026-01-01T00:00:00Z")
    work = workspace(out, state, table, base_folder, Progress(plan))
    for name, budget_s in (("read", 1.0), ("baselines", 1.0), ("full", 4.0)):
        STAGES[name](work, budget_s)
    find_lessons(work, 1.0)
    kept: list[int] = []
    plain = TopK.set_k

    def spy(self: TopK, k: int) -> None:
        kept.append(k)
        plain(self, k)

    steps = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TopK, "set_k", spy)
        for at in (work.work_folder / CHECKPOINT, None):
            told = Told(plan, at)
            work = workspace(out, state, table, base_folder, told)
            if at is None:
                run_topk(work, 16.0)
            else:
                with pytest.raises(KeyboardInterrupt):
                    run_topk(work, 16.0)
                assert [draft for draft in state.drafts if draft.kind == "topk"] == []
                assert not work.path(f"models/{NAME}").exists()
            steps.append(told.steps)
    run_measure(work, 2.0)
    save_state(out, state)
    return out, state, steps, kept


Made = tuple[Path, PocState, list[list[int]], list[int]]


def test_an_interrupted_fit_goes_on_where_it_was(made: Made) -> None:
    out, _, (before, after), _ = made
    assert before[0] == 1
    assert after[0] == before[-1]
    assert not (out / "work" / CHECKPOINT).exists()
    assert not [p for p in out.rglob("*") if ".partial" in p.name or p.name.endswith(".tmp")]


def test_k_falls_from_all_entries_to_an_eighth(made: Made) -> None:
    out, _, _, kept = made
    model = load_classifier(out / "models" / NAME).model
    assert [(s.layer, s.site, s.topk.k) for s in sparse_sites(model)] == [(1, "block_out", 4)]
    assert kept[0] == 4  # the first look
    assert kept[1] == 32
    assert set(kept[-10:]) == {4}
    assert len(set(kept)) > 4


def test_only_the_last_layer_and_the_classifier_learn(made: Made) -> None:
    out, state, _, _ = made
    assert state.draft(NAME).note is not None
    full = load_classifier(out / "models" / "full").model.state_dict()
    twin = load_classifier(out / "models" / NAME).model.state_dict()
    changed = {
        name.removeprefix("encoder.encoder.").split(".attention")[0].split(".output")[0]
        for name, value in twin.items()
        if value.shape == full[name].shape and not torch.equal(value, full[name])
    }
    assert {name for name in changed if name.startswith("layer.0")} == set()
    assert any(name.startswith("layer.1") for name in changed)
    assert "classifier.weight" in changed


def test_it_is_a_measured_candidate_of_its_own_kind(made: Made) -> None:
    out, _, _, _ = made
    found = read_json(out / "results.json", Results).candidate(NAME)
    assert found is not None
    assert (found.kind, found.parent, found.precision) == ("topk", "full", "fp32")
    assert found.note is not None
    assert found.note.startswith("each token keeps the 4 largest of 32 entries")
    full = read_json(out / "results.json", Results).candidate("full")
    assert full is not None
    assert found.quality.accuracy > 0.5  # chance is a third; 4 of 32 entries are few
    assert found.cost.flops_per_example == full.cost.flops_per_example


def test_its_graph_gives_torchs_logits_and_it_can_be_exported(made: Made, tmp_path: Path) -> None:
    folder = made[0] / "models" / NAME
    model, tokenizer = load_classifier(folder)
    with torch.no_grad():
        want = model(torch.tensor([tokenizer.encode(TEXT).ids])).logits.softmax(-1).numpy()
    export_model(folder, to="onnx", out=tmp_path / "onnx")
    for place in (folder, tmp_path / "onnx"):
        np.testing.assert_allclose(load_engine(place).predict([TEXT]), want, atol=1e-5)
    export_model(folder, to="hf", out=tmp_path / "hf")
    assert len(load_classifier(tmp_path / "hf").model.sparse) == 1
    assert (tmp_path / "hf" / "neurons.json").is_file()


def test_explain_names_its_neurons_with_what_they_stand_for(made: Made) -> None:
    done = CliRunner().invoke(main, ["explain", str(made[0] / "models" / NAME), TEXT, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["is_exact"] is True
    assert found["units"][0]["name"].startswith("L01/")
    assert [n["name"] for n in found["neurons"]] == [u["name"] for u in found["units"]]
    assert len(found["test"]["random_margin_kept"]) == 20
    assert found["neurons"][0]["examples"]


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_report_shows_what_neurons_stand_for(made: Made, lang: str) -> None:
    report = read_json(made[0] / "analysis.json", Analysis).sparse
    assert report is not None
    assert report.name == NAME
    assert {neuron.label for neuron in report.neurons} <= {"card", "money", "app"}
    page = write_report(made[0], "ja" if lang == "ja" else "en").read_text(encoding="utf-8")
    assert 'id="sparse"' in page
    assert report.neurons[0].name in page


def test_without_time_the_stage_is_left_out_and_says_so(
    made: Made, base_folder: Path, table: Path
) -> None:
    state = made[1].model_copy(deep=True)
    state.drafts = [draft for draft in state.drafts if draft.kind != "topk"]
    progress = Progress(TimePlan(60.0, 0.0))
    work = workspace(made[0], state, table, base_folder, progress)
    assert run_topk(work, 0.5) == "left out: there was no time for it"
    assert not [draft for draft in state.drafts if draft.kind == "topk"]
