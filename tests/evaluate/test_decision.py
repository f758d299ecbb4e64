"""Cards of an explained token: written, seen again, refused where they do not fit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.decision import read_card, text_sha256
from sparsepath.artifacts.neuron import Neuron, read_place
from sparsepath.cli.main import main
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.errors import ConfigError, ModelError, RunError
from sparsepath.evaluate.decision import card_of, explain_token, replay
from sparsepath.models.language import fresh_llama, fresh_topk, train_byte_tokenizer
from sparsepath.pathways.next_token import Asked

TEXT = "one two three four"


def _save(folder: Path, seed: int) -> Path:
    llama = fresh_llama(
        vocabulary=300, length=64, d_model=32, n_layers=3, n_heads=4, n_kv_heads=2, d_mlp=48,
        seed=seed,
    )  # fmt: skip
    sparse = fresh_topk(
        llama, topk={"block_out": 9, "mlp_hidden": 9}, topk_by="magnitude", topk_positive=False,
        n_always_on=0, n_dense_layers=1, straight_through=False,
    )  # fmt: skip
    with torch.no_grad():
        for parameter in sparse.parameters():
            parameter.mul_(6 if parameter.dim() > 1 else 1)
    sparse.save_pretrained(folder)
    train_byte_tokenizer(iter(["one two three four five six"] * 3), size=300).save(
        str(folder / "tokenizer.json")
    )
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _save(tmp_path_factory.mktemp("model"), 0)


def _run(*given: object) -> Result:
    return CliRunner().invoke(main, ["explain", *(str(item) for item in given)])


def test_a_card_is_seen_again(model: Path, tmp_path: Path) -> None:
    card = tmp_path / "card.json"
    page = tmp_path / "page.html"
    result = _run(
        model, TEXT, "--card", card, "--html", page, "--json", "--contrast", "five six",
        "--site", "L00.mlp_hidden",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    written = read_card(card)
    assert written.question.site == "mlp_hidden"
    assert written.question.contrast == "five six"
    assert written.evidence == {name: told[name] for name in told if name != "text"}
    assert told["neurons"][0]["name"].startswith("L00.M")
    assert page.read_text("utf-8").startswith("<!doctype html>")
    again = _run(model, "--replay", card)
    assert again.exit_code == 0, again.output
    assert "came out the same" in again.stdout


def test_a_card_without_its_text_needs_it(model: Path) -> None:
    told = explain_token(model, TEXT)
    card = card_of(model, told, Asked(), keeps_text=False)
    dumped = card.model_dump_json()
    assert "three" not in dumped
    with pytest.raises(ConfigError, match="holds no text"):
        replay(model, card)
    with pytest.raises(ConfigError, match="not the one of the card"):
        replay(model, card, TEXT + " ")
    assert replay(model, card, TEXT) == []


def test_another_outcome_is_told(model: Path, tmp_path: Path) -> None:
    card = card_of(model, explain_token(model, TEXT), Asked())
    evidence = json.loads(json.dumps(card.evidence))
    evidence["words"][1]["score"] += 0.5
    other = card.model_copy(update={"evidence": evidence}).sealed()
    (found,) = replay(model, other)
    assert found.figure == "words[1].score"
    path = tmp_path / "card.json"
    path.write_text(other.model_dump_json(by_alias=True))
    result = _run(model, "--replay", path)
    assert result.exit_code == 1
    assert "1 figures" in result.output
    assert "Traceback" not in result.output


def test_a_card_that_knows_no_token_numbers_is_seen_again(model: Path, tmp_path: Path) -> None:
    """As they were written before cards held numbers: neither in the question nor in the hash."""
    asked = Asked(target="one", against="two")
    card = card_of(model, explain_token(model, TEXT, asked), asked)
    plain = card.model_dump(mode="json", by_alias=True, exclude={"content_sha256"})
    for part in (plain["question"], plain["evidence"]):
        del part["target_id"], part["against_id"]
    digest = text_sha256(json.dumps(plain, sort_keys=True, ensure_ascii=False))
    path = tmp_path / "old.json"
    path.write_text(json.dumps(plain | {"content_sha256": digest}), encoding="utf-8")
    assert replay(model, read_card(path)) == []


def test_a_changed_card_is_refused(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    content: dict[str, Any] = card_of(model, explain_token(model, TEXT), Asked()).model_dump(
        mode="json", by_alias=True
    )
    content["evidence"]["margin"] += 1
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match="was changed after it was written"):
        read_card(path)
    with pytest.raises(RunError, match="--card FILE"):
        read_card(path.with_name("other.json"))


def test_another_model_is_refused(model: Path, tmp_path: Path) -> None:
    card = card_of(model, explain_token(model, TEXT), Asked())
    with pytest.raises(ModelError, match="are not those of the card"):
        replay(_save(tmp_path, 1), card)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((), "nothing to explain"),
        ((TEXT, "--target", "one two"), "is not one token"),
        ((TEXT, "--site", "L9"), "layer 9 of a model of 3"),
        ((TEXT, "--site", "head"), "'head' names no site"),
        ((TEXT, "--site", "L00.heads"), "names no site"),
        (("--replay", "missing.json"), "missing.json"),
    ],
)
def test_mistakes_are_told(model: Path, given: tuple[str, ...], message: str) -> None:
    result = _run(model, *given)
    assert result.exit_code == 1
    assert message in result.output
    assert "fix:" in result.output


def test_options_of_language_models_are_refused_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    result = _run(tmp_path, TEXT, "--site", "L00")
    assert result.exit_code == 1
    assert "--site is for language models" in result.output


def test_neurons_are_named_by_the_catalogue_beside_the_model(tmp_path: Path) -> None:
    folder = _save(tmp_path / "model", 0)
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n\n".join(f"one two three four five six {n}" for n in range(400)))
    options = CatalogueOptions(tokens=3000, length=16)
    built = build_catalogue(folder, str(corpus), options)
    told = explain_token(folder, TEXT)
    (layer, site), first = read_place(told.site), told.neurons[0]
    # The model keeps by magnitude: the label is that of the sign that the entry has here.
    neuron = Neuron.parse(first.name)._replace(side="+" if first.value > 0 else "-")
    with Catalogue(built.path) as catalogue:
        line = catalogue.lines_of([catalogue.id_of(neuron)])[0]
    assert (layer, site) == (1, "block_out")
    assert first.label == line.label
    card = card_of(folder, told, Asked())
    assert card.catalogue_sha256 is not None
    assert replay(folder, card) == []
    with Catalogue(built.path, "ja") as catalogue:
        japanese = catalogue.label_of(neuron)
    assert japanese != line.label
    path = tmp_path / "card.json"
    shown = _run(folder, TEXT, "--lang", "ja", "--json", "--card", str(path))
    assert json.loads(shown.stdout)["neurons"][0]["label"] == japanese
    assert read_card(path).evidence["neurons"][0]["label"] == line.label
    with Catalogue(built.path) as catalogue:
        catalogue.remark(neuron, by="Ann", label="counting")
    (found,) = replay(folder, card)
    assert (found.figure, found.now) == ("neurons[0].label", "counting")
    at_mlp = explain_token(folder, TEXT, Asked(place=(0, "mlp_hidden")))
    assert {neuron.label for neuron in at_mlp.neurons} == {None}


def test_it_is_shown_in_both_languages(model: Path) -> None:
    assert "Why " in _run(model, TEXT).stdout
    assert "決め手となったニューロン" in _run(model, TEXT, "--lang", "ja").stdout
