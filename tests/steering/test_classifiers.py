"""Steering a sparse classifier: its labels change, its weights do not."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tests.concepts import planted_classifier as planted
from tests.steering.planted_folder import save_steerable

import sparsepath
from sparsepath.artifacts.model_files import weights_sha256
from sparsepath.artifacts.steering import read_preset
from sparsepath.artifacts.steering_sweep import ClassSweep
from sparsepath.artifacts.store import read_json
from sparsepath.cli.main import main
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.config import SweepOptions
from sparsepath.errors import ConfigError, ModelError
from sparsepath.evaluate.explain import explain
from sparsepath.evaluate.steering_classes import save_class_preset, sweep_classes, try_classes
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.save import load_classifier
from sparsepath.runtime.engine import load_engine
from sparsepath.trace.batches import encode_texts

TEXT = "my card is not with the pin"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted classifier."""
    return save_steerable(tmp_path_factory.mktemp("steered"))


def _logits(model: PathwayClassifier, ids: list[list[int]]) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(torch.tensor(ids)).logits
    return found


def test_a_set_neuron_acts_as_if_the_model_had_it(model: Path) -> None:
    loaded = load_classifier(model)
    ids = encode_texts(loaded.tokenizer, [TEXT], 32)
    before = _logits(loaded.model, ids)
    with sparsepath.steer(loaded.model, "L01/0", set=2.5):
        steered = _logits(loaded.model, ids)
    # Pooling is a mean, and two is the classifier's weight of the class's own neuron.
    with sparsepath.steer(loaded.model, "L01/0=off"):
        off = _logits(loaded.model, ids)
    assert steered[0, 0] - off[0, 0] == pytest.approx(2 * 2.5, abs=1e-5)
    assert torch.equal(steered[0, 1:], off[0, 1:])
    assert torch.equal(_logits(loaded.model, ids), before)


def test_positions_count_tokens_of_the_text_and_padding_stays(model: Path) -> None:
    loaded = load_classifier(model)
    encoded = encode_texts(loaded.tokenizer, [TEXT, "card"], 32)
    mask = torch.zeros(2, len(encoded[0]), dtype=torch.int64)
    ids = torch.zeros_like(mask)
    for row, one in enumerate(encoded):
        ids[row, : len(one)], mask[row, : len(one)] = torch.tensor(one), 1
    with torch.inference_mode():
        before = loaded.model(ids, mask).logits
        with sparsepath.steer(loaded.model, "L01/0+3@0:1"):
            after = loaded.model(ids, mask).logits
    n = [len(one) for one in encoded]
    assert (after - before)[:, 0].tolist() == pytest.approx([2 * 3 / m for m in n], abs=1e-5)


def test_both_answers_stand_side_by_side(model: Path) -> None:
    found = try_classes(model, TEXT, ["L01/0=3"])
    assert next(iter(found.steered)) == "refund"
    assert max(found.unsteered, key=found.unsteered.__getitem__) == "card"
    assert sum(found.steered.values()) == pytest.approx(1)
    assert found.edits == ("L01/0=3",)


def test_a_sweep_finds_what_turns_rows_and_what_it_costs(model: Path) -> None:
    options = SweepOptions(strengths="0.1x,1x", random_neurons=2)
    table = model.parent / "table.csv"
    found = sweep_classes(model, ["L01/0"], table, "refund", options, sources=["card"])
    base, weak, strong, *others = found.points
    assert (base.n, base.n_others, base.share, base.accuracy) == (30, 60, 0.0, 1.0)
    assert weak.share < strong.share == 1.0
    assert strong.accuracy == pytest.approx(0.5)  # of login; refund stays
    assert not strong.is_harmless
    assert others[0].way.startswith("random neuron L01/")
    assert max(point.share for point in others) == 0.0
    assert found.sources == ("card",)
    less = sweep_classes(model, ["L01/2"], table, "login", SweepOptions(strengths="0", goal="less"))
    assert (less.points[0].share, less.points[1].share) == (1.0, 0.0)
    assert less.points[1].accuracy == 1.0
    assert less.recommended is not None
    assert less.recommended.strength == 0


def test_a_preset_stays_after_reload_also_in_the_graph(model: Path, tmp_path: Path) -> None:
    own = tmp_path / "model"
    shutil.copytree(model, own)
    save_class_preset(own, "calm", ["L01/0=3", "L01/1*0.5"], note="refunds first")
    texts = [TEXT, "card", "login screen please", "money money"]
    loaded = load_classifier(own)
    preset = read_preset(own, "calm", weights_sha256(own))
    encoded = encode_texts(loaded.tokenizer, texts, 32)
    with sparsepath.steer(loaded.model, preset), torch.inference_mode():
        wanted = [
            loaded.model(torch.tensor([ids])).logits.softmax(dim=-1)[0].tolist() for ids in encoded
        ]
    plain = load_engine(own).predict(texts, batch_size=4)
    steered = load_engine(own, preset="calm").predict(texts, batch_size=4)
    assert np.allclose(steered, wanted, atol=1e-5)
    assert not np.allclose(steered, plain, atol=1e-2)
    weights = own / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(ModelError, match="belongs to a model"):
        load_engine(own, preset="calm")


def test_what_a_graph_cannot_do_is_refused_by_it_alone(model: Path, tmp_path: Path) -> None:
    own = tmp_path / "model"
    shutil.copytree(model, own)
    save_class_preset(own, "first", ["L01/0=3@0:1"])
    assert try_classes(own, TEXT, preset="first").edits == ("L01/0=3@0:1",)
    with pytest.raises(ConfigError, match="cannot look at"):
        load_engine(own, preset="first")


def test_labels_of_the_catalogue_name_neurons_and_stand_in_explanations(
    model: Path, tmp_path: Path
) -> None:
    own = tmp_path / "model"
    shutil.copytree(model, own)
    options = CatalogueOptions(length=16, held_out=0.25, vectors=False)
    build_catalogue(own, str(model.parent / "table.csv"), options)
    explained = explain(own, TEXT).explanation
    named = dict(zip([unit.name for unit in explained.units], explained.concepts, strict=True))
    assert set(planted.CLASSES["card"]) <= set((named["L01/1"] or "").replace('"', " ").split())
    run = CliRunner()
    shown = run.invoke(main, ["explain", str(own), TEXT, "--target", "card", "--against", "refund"])
    assert "Label in the catalogue" in shown.output
    run.invoke(main, ["concepts", "note", str(own), "L01/0", "--label", "refunds", "--by", "Ann"])
    assert try_classes(own, TEXT, ["refunds=3"]).edits == ("L01/0=3",)


def test_commands(model: Path, tmp_path: Path) -> None:
    own, table = tmp_path / "model", model.parent / "table.csv"
    shutil.copytree(model, own)
    run = CliRunner()
    told = run.invoke(main, ["steering", "try", str(own), TEXT, "--steer", "L01/0=3", "--json"])
    assert json.loads(told.output)["steered"]["refund"] > 0.5
    said = ["steering", "sweep", str(own), "--steer", "L01/0", "--strengths", "1x", "--target"]
    said += ["refund", "--from", "card", "--labelled", str(table), "-o", str(tmp_path / "s.json")]
    swept = run.invoke(main, said)
    assert "no harmless strength" in swept.output
    assert read_json(tmp_path / "s.json", ClassSweep).points[1].share == 1.0
    assert "no presets yet" in run.invoke(main, ["steering", "list", str(own)]).stderr
    saved = run.invoke(main, ["steering", "save", str(own), "--name", "calm", "--steer", "L01/0=3"])
    assert saved.exit_code == 0, saved.output
    assert "calm" in run.invoke(main, ["steering", "list", str(own)]).output
    applied = run.invoke(main, ["steering", "apply", str(own), TEXT, "--name", "calm"])
    assert "refund" in applied.output
    out = tmp_path / "out.csv"
    said = ["predict", str(own), str(table), "-o", str(out), "--preset", "calm"]
    assert run.invoke(main, [*said, "--text-column", "question"]).exit_code == 0
    assert {row.split(",")[1] for row in out.read_text().splitlines()[1:]} == {"refund"}


@pytest.mark.parametrize(
    ("edit", "kind", "words"),
    [
        ("L01/99=1", ConfigError, "16 entries"),
        ("L07/1=1", ModelError, "not sparse there"),
        ("L01.M0001=1", ModelError, "not sparse there"),
        ("L01/0=99", ConfigError, "beyond the limit"),
        ("L01/0=1@answer", ConfigError, "writes no answer"),
    ],
)
def test_wrong_edits_are_refused(model: Path, edit: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        try_classes(model, TEXT, [edit])


def test_wrong_options_are_refused(model: Path, tmp_path: Path) -> None:
    run = CliRunner()
    said = run.invoke(main, ["steering", "try", str(model), TEXT, "--steer", "L01/0=1",
                             "--samples", "2"])  # fmt: skip
    assert "writes nothing" in str(said.exception) + said.output
    with pytest.raises(ConfigError, match="no label 'cash'"):
        sweep_classes(model, ["L01/0"], model.parent / "table.csv", "cash")
    dense = planted.save_model(tmp_path / "dense", is_sparse=False)
    with pytest.raises(ModelError, match="dense classifier"):
        try_classes(dense, TEXT, ["L01/0=1"])
