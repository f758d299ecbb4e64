"""Catalogues as the files of other tools, read as those tools read them."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file

import planted
from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.cli.main import main
from sparsepath.report import neuronpedia

WIDTH = planted.N_LISTS + planted.N_OTHERS
FEATURE_KEYS = {
    "feature_index", "neuron_alignment_indices", "neuron_alignment_values", "neuron_alignment_l1",
    "correlated_neurons_indices", "correlated_neurons_l1", "correlated_neurons_pearson",
    "correlated_features_indices", "correlated_features_l1", "correlated_features_pearson",
    "neg_str", "neg_values", "pos_str", "pos_values", "frac_nonzero", "freq_hist_data_bar_values",
    "freq_hist_data_bar_heights", "logits_hist_data_bar_heights", "logits_hist_data_bar_values",
    "n_prompts_total", "n_tokens_in_prompt", "dataset", "activations", "decoder_weights_dist",
    "vector",
}  # fmt: skip
"""Arguments of sae-dashboard's `NeuronpediaDashboardFeature`."""
ACTIVATION_KEYS = {
    "bin_min", "bin_max", "bin_contains", "tokens", "values", "qualifying_token_index",
}  # fmt: skip
"""Arguments of its `NeuronpediaDashboardActivation` that are always there."""


def export(*arguments: object, code: int = 0) -> str:
    """Run the command."""
    done = CliRunner().invoke(main, ["concepts", "export", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done.output


def test_dashboards_have_the_keys_and_the_firings_of_each_neuron(
    planted_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neuronpedia, "BATCH", 24)
    out = tmp_path / "dashboards"
    told = export(planted_model, out, "--format", "neuronpedia", "--model-id", "tiny")
    batches = [json.loads(path.read_text()) for path in sorted((out / "L01").glob("batch-*.json"))]
    skipped = json.loads((out / "L01" / "skipped_indexes.json").read_text())
    assert {(b["model_id"], b["layer"], b["sae_set"]) for b in batches} == {
        ("tiny", 1, "block-out-sparsepath")
    }
    features = {f["feature_index"]: f for batch in batches for f in batch["features"]}
    assert len(batches[0]["features"]) == 24
    assert sorted([*features, *skipped["skipped_indexes"]]) == list(range(WIDTH))
    assert f"{len(features)} neurons" in told
    four = features[4]
    assert set(four) == FEATURE_KEYS
    with Catalogue(planted_model) as catalogue:
        facts = catalogue.facts
    n_finding = facts.n_tokens - facts.n_held_out
    assert sum(four["freq_hist_data_bar_heights"]) == round(four["frac_nonzero"] * n_finding)
    assert len(four["freq_hist_data_bar_heights"]) == len(four["freq_hist_data_bar_values"])
    for example in four["activations"]:
        assert set(example) == ACTIVATION_KEYS
        at = example["qualifying_token_index"]
        assert example["tokens"][at].strip() in planted.LISTS[4]
        assert example["values"][at] == pytest.approx(2.0)
        assert len(example["tokens"]) == len(example["values"])
    bins = {e["bin_contains"]: e["bin_min"] for e in four["activations"]}
    assert bins[-1] == -1
    assert max(bins) == pytest.approx(four["frac_nonzero"] / 4)
    assert bins[max(bins)] == 2.0


def test_a_cache_for_delphi_has_every_firing(planted_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "latents"
    export(planted_model, out, "--format", "delphi", "--tokens", 1600)
    assert sorted(path.name for path in out.iterdir()) == ["layers.0", "layers.1"]
    folder = out / "layers.1"
    config = json.loads((folder / "config.json").read_text())
    assert config["cache_ctx_len"] == 16
    assert Path(config["model_name"]) == planted_model.resolve()
    edges = sorted(tuple(map(int, p.stem.split("_"))) for p in folder.glob("*.safetensors"))
    assert [start for start, _ in edges] == [0, *[end + 1 for _, end in edges[:-1]]]
    assert edges[-1][1] == WIDTH - 1
    fired = np.zeros((0, 3), int)
    for start, end in edges:  # as delphi's TensorBuffer.load does
        content = load_file(folder / f"{start}_{end}.safetensors")
        locations = content["locations"].astype(int) + np.array([0, 0, start])
        assert content["activations"].dtype == np.float16
        assert content["tokens"].dtype == np.int64
        fired = np.concatenate([fired, locations])
    tokens, word_ids = content["tokens"], [planted.words().index(w) for w in planted.LISTS[4]]
    truth = np.argwhere(np.isin(tokens, word_ids))
    ours = fired[fired[:, 2] == 4][:, :2]
    np.testing.assert_array_equal(ours[np.lexsort(ours.T[::-1])], truth)
    assert len(fired) == tokens.size * planted.K == 1600 * planted.K


def test_a_folder_that_is_there_is_not_replaced(planted_model: Path, tmp_path: Path) -> None:
    for kind in ("neuronpedia", "delphi"):
        assert "is already there" in export(planted_model, tmp_path, "--format", kind, code=1)
    wrong = [planted_model, tmp_path / "new", "--format", "neuronpedia", "--tokens", 5]
    assert "says nothing to --format neuronpedia" in export(*wrong, code=2)
