"""A saved classifier as a self-ensemble, by the library and by the command."""

import csv
import json
import random
from pathlib import Path
from typing import get_args

import pytest
import torch
from click.testing import CliRunner

from sparsepath.cli.main import main
from sparsepath.config import EnsembleOptions, HypothesisOptions, SamplingMode
from sparsepath.errors import ConfigError, DataError, ModelError
from sparsepath.evaluate.ensemble_model import ensemble
from sparsepath.evaluate.hypothesis import hypothesis
from sparsepath.models.classifier import from_encoder
from sparsepath.models.save import load_classifier, save_classifier
from sparsepath.models.scratch import small_encoder, train_tokenizer
from sparsepath.nn.sampling import Mode
from sparsepath.pathways.dropout import run_dropout
from sparsepath.pathways.ensemble import answer, run_members
from sparsepath.trace.batches import encode_texts

LABELS = ["card", "money"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A random classifier and a table that it labels, at random as well."""
    chance = random.Random(0)
    folder = tmp_path_factory.mktemp("ensemble")
    rows = [
        (f"number {n} {chance.choice(LABELS)} x{chance.randrange(99)}", chance.choice(LABELS))
        for n in range(120)
    ]
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    tokenizer_json = train_tokenizer([text for text, _ in rows], vocabulary_size=300)
    generator = torch.Generator().manual_seed(0)
    classifier = from_encoder(
        small_encoder(300, seed=0), LABELS, max_length=32, generator=generator
    )
    with torch.no_grad():
        classifier.classifier.weight.mul_(20)
    save_classifier(folder / "model", classifier, tokenizer_json, card="a card")
    return folder / "model", folder / "table.csv"


def test_members_differ_and_the_dense_pass_is_the_model(model: tuple[Path, Path]) -> None:
    classifier, tokenizer = load_classifier(model[0])
    encoded = encode_texts(tokenizer, ["number 7 card x5", "money", "x1 x2 x3 x4 x5 x6 x7"], 32)
    found = run_members(
        classifier,
        encoded,
        n_members=5,
        keep=0.5,
        generator=torch.Generator().manual_seed(0),
    )
    assert found.probabilities.shape == (5, 3, 2)
    assert float(found.probabilities.std(dim=0).max()) > 1e-4
    with torch.no_grad():
        alone = classifier(torch.tensor([encoded[2]])).logits.softmax(dim=-1)[0]
    torch.testing.assert_close(found.dense[2], alone)
    all_kept = run_members(
        classifier,
        encoded,
        n_members=3,
        keep=1.0,
        generator=torch.Generator().manual_seed(0),
    )
    torch.testing.assert_close(all_kept.probabilities[1], all_kept.dense)
    assert classifier.encoder.config._attn_implementation == "sdpa"


def test_the_command_prints_what_the_library_gives(model: tuple[Path, Path]) -> None:
    expected = ensemble(*model, EnsembleOptions(members=6, seed=3))
    arguments = ["pathways", "ensemble", *map(str, model), "--members", "6", "--seed", "3"]
    done = CliRunner().invoke(main, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads(json.dumps(expected.as_dict()))
    assert [point.members for point in expected.curve] == [1, 2, 4, 6]
    assert (expected.rows, expected.calibration_rows) == (80, 40)
    text = CliRunner().invoke(main, arguments).stdout
    assert f"{expected.dense.nll_nats:.4f}" in text
    assert "dense: " in text


def test_texts_of_another_kind_are_compared_in_three_ways(
    model: tuple[Path, Path], tmp_path: Path
) -> None:
    path = tmp_path / "foreign.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["text"], *([f"another word {n} ?"] for n in range(30))])
    asked = EnsembleOptions(members=4)
    found = ensemble(*model, asked, foreign=path).noticed
    assert [one.way for one in found] == ["dense", "self-ensemble", "dropout"]
    assert found[0].by_disagreement is None
    for one in found[1:]:
        assert 0.0 <= one.by_confidence <= 1.0
        assert 0.0 <= (one.by_disagreement or 0.0) <= 1.0
    arguments = ["pathways", "ensemble", *map(str, model), "--members", "4"]
    done = CliRunner().invoke(main, [*arguments, "--foreign", str(path)])
    assert f"dense: AUROC of foreign texts {found[0].by_confidence:.3f}" in done.stdout
    # The same model twice is sure where one is; another one is not.
    deep = ensemble(*model, asked, foreign=path, deep=[model[0]]).noticed[3]
    assert deep.way == "deep ensemble of 2"
    assert deep.by_confidence == pytest.approx(found[0].by_confidence)
    other = _with_other_head(model[0], tmp_path / "other", LABELS)
    far = ensemble(*model, asked, foreign=path, deep=[other]).noticed[3]
    assert far.by_confidence == pytest.approx(_deep_auroc(model, other, path), abs=2e-3)
    assert far.by_confidence != pytest.approx(found[0].by_confidence, abs=4e-3)
    done = CliRunner().invoke(
        main, [*arguments, "--foreign", str(path), "--deep", str(other), "--deep", str(model[0])]
    )
    assert "deep ensemble of 3: AUROC" in done.stdout
    # The table itself is not of another kind.
    same = ensemble(*model, asked, foreign=model[1]).noticed
    assert same[0].by_confidence == pytest.approx(0.5, abs=1e-3)


def _with_other_head(model: Path, folder: Path, labels: list[str]) -> Path:
    """A classifier of the same encoder whose head was drawn anew."""
    loaded = load_classifier(model)
    generator = torch.Generator().manual_seed(1)
    classifier = from_encoder(loaded.model.encoder, labels, max_length=32, generator=generator)
    with torch.no_grad():
        classifier.classifier.weight.mul_(20)
    save_classifier(folder, classifier, (model / "tokenizer.json").read_text(), card="a card")
    return folder


def _deep_auroc(model: tuple[Path, Path], other: Path, foreign: Path) -> float:
    """Pairs in which the foreign text is the less sure one, by the mean of two models."""
    sure = []
    for path in (model[1], foreign):
        with path.open(newline="") as file:
            texts = [row["text"] for row in csv.DictReader(file)]
        mean = torch.zeros(len(texts), len(LABELS))
        for folder in (model[0], other):
            classifier, tokenizer = load_classifier(folder)
            mean += answer(classifier, encode_texts(tokenizer, texts, 32)) / 2
        sure.append(mean.max(dim=1).values)
    own, strange = sure
    return float((own[:, None] > strange).float().mean())


def test_a_deep_ensemble_has_one_set_of_labels(model: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="texts of another kind only"):
        ensemble(*model, deep=[model[0]])
    other = _with_other_head(model[0], tmp_path / "other", LABELS[::-1])
    with pytest.raises(ModelError, match="other labels"):
        ensemble(*model, EnsembleOptions(members=1), foreign=model[1], deep=[other])


def test_every_row_is_written_with_how_far_members_differ(
    model: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "rows.csv"
    arguments = ["pathways", "ensemble", *map(str, model), "--members", "5", "-o", str(out)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["row"]) for row in rows] == list(range(120))
    assert {row["label"] for row in rows} <= set(LABELS)
    assert {float(row["disagreement"]) for row in rows} <= {0.0, 0.2, 0.4}
    mean = sum(float(row["spread"]) for row in rows) / 120
    assert mean == pytest.approx(ensemble(*model, EnsembleOptions(members=5)).spread, rel=0.3)


def test_dropout_differs_by_seed_and_leaves_the_model_as_it_was(model: tuple[Path, Path]) -> None:
    classifier, tokenizer = load_classifier(model[0])
    encoded = encode_texts(tokenizer, ["number 7 card x5", "money"], 32)
    first, again, other = (
        run_dropout(classifier, encoded, n_members=3, seed=seed) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert float((first[0] - first[1]).abs().max()) > 1e-5
    assert not any(module.training for module in classifier.modules())
    none = run_dropout(classifier, encoded, n_members=2, share=0.0)
    torch.testing.assert_close(none[0], none[1])


def test_the_claims_of_the_hypothesis_are_measured(model: tuple[Path, Path]) -> None:
    found = hypothesis(*model, HypothesisOptions(members=4, rows=40))
    assert [part.keep for part in found.sub_models] == [0.125, 0.25, 0.5, 0.75]
    for part in found.sub_models:
        assert part.accuracies == sorted(part.accuracies)
        assert len(part.nll_nats) == 4
        assert [point.members for point in part.curve] == [1, 2, 4]
    assert len(found.conclusions) == 10
    assert f"{found.dense.nll_nats:.4f}" in found.conclusions[1]
    arguments = ["pathways", "hypothesis", *map(str, model), "--members", "4", "--rows", "40"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [f"- {sentence}" for sentence in found.conclusions]
    as_json = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)
    assert as_json["dense"]["accuracy"] == found.dense.accuracy


def test_the_command_writes_a_page_in_japanese(model: tuple[Path, Path], tmp_path: Path) -> None:
    arguments = ["pathways", "hypothesis", *map(str, model), "--members", "2", "--rows", "20"]
    arguments += ["--html", str(tmp_path / "page.html"), "--lang", "ja"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "このモデルは小さな経路の集まりか" in (tmp_path / "page.html").read_text(
        encoding="utf-8"
    )


def test_what_does_not_fit_is_named(model: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="risk = 0"):
        ensemble(*model, EnsembleOptions(risk=0.0))
    with pytest.raises(ConfigError, match="keep = 2"):
        ensemble(*model, EnsembleOptions(keep=2.0))
    with (tmp_path / "other.csv").open("w", newline="") as file:
        rows = [(f"text number {n}", "cat" if n % 2 else "dog") for n in range(20)]
        csv.writer(file).writerows([("text", "label"), *rows])
    with pytest.raises(DataError, match='does not know the label "cat"'):
        ensemble(model[0], tmp_path / "other.csv")


def test_the_ways_of_drawing_are_those_of_the_samplers() -> None:
    assert get_args(SamplingMode) == get_args(Mode)
