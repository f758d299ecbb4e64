"""`poc --train ssa` subsamples attention while the full model learns, and adds an ensemble."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sparsepath.artifacts.analysis import Analysis
from sparsepath.artifacts.schema import Results
from sparsepath.artifacts.store import read_json
from sparsepath.config import PocOptions
from sparsepath.models.save import load_classifier
from sparsepath.nn import subsampling
from sparsepath.poc.run import run_poc
from sparsepath.report.write import write_report
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.self_ensemble import SelfEnsembleEngine


@pytest.fixture(scope="module")
def run(base_folder: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; the shares of sources that steps kept stand in `kept.txt`."""
    kept: list[float] = []
    plain = subsampling.Subsampler.set_keep

    def spy(self: subsampling.Subsampler, keep: float) -> None:
        kept.append(keep)
        plain(self, keep)

    out = tmp_path_factory.mktemp("ssa") / "run"
    options = PocOptions(
        data=table, out=out, model=str(base_folder), minutes=0.8, train="ssa", lang="ja"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subsampling.Subsampler, "set_keep", spy)
        run_poc(options, write_report)
    (out.parent / "kept.txt").write_text("\n".join(map(str, kept)))
    return out


def test_most_steps_are_subsampled_and_the_last_are_dense(run: Path) -> None:
    kept = [float(line) for line in (run.parent / "kept.txt").read_text().split()]
    assert set(kept) == {0.5, 1.0}
    assert kept == sorted(kept)
    assert 0.5 < np.mean(np.array(kept) == 0.5) < 0.95


def test_the_ensemble_is_a_measured_candidate_of_random_sub_models(run: Path) -> None:
    found = read_json(run / "results.json", Results).candidate("ensemble")
    assert found is not None
    assert (found.kind, found.parent) == ("ensemble", "full")
    full = read_json(run / "results.json", Results).candidate("full")
    assert full is not None
    assert found.cost.flops_per_example == 8 * (full.cost.flops_per_example or 0)
    assert found.relative.speedup < 1.0
    engine = load_engine(run / "models" / "ensemble")
    assert isinstance(engine, SelfEnsembleEngine)
    members = engine.members("my card was lost today")
    assert members.shape == (8, 3)
    assert float(members.std(axis=0).max()) > 1e-5


def test_what_is_saved_is_dense(run: Path) -> None:
    model, tokenizer = load_classifier(run / "models" / "full")
    ids = torch.tensor([tokenizer.encode("my card was lost today").ids])
    with torch.no_grad():
        model.train(False)
        assert torch.equal(model(ids).logits, model(ids).logits)
    assert model.encoder.config._attn_implementation == "sdpa"


def test_the_run_says_when_a_person_is_asked(run: Path) -> None:
    alone = read_json(run / "analysis.json", Analysis).alone
    recommended = read_json(run / "results.json", Results).recommended
    assert recommended is not None
    names = [item.name for item in alone]
    assert names[0] == recommended.name
    assert {"full", "ensemble"} <= set(names)
    for item in alone:
        assert 0.0 <= item.coverage <= 1.0
        if item.threshold is None:
            assert (item.coverage, item.error) == (0.0, None)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "モデルに確信がないのはどんなときか" in page
