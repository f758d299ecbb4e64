"""The catalogue of a sparse classifier, made on a table."""

import json
from pathlib import Path

import planted_classifier as planted
import pytest
from click.testing import CliRunner

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_classes import search_known_classes
from sparsepath.artifacts.neuron import Neuron
from sparsepath.cli.main import main
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.compare import compare
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.concepts.search import search_classes, search_prompt
from sparsepath.errors import ConfigError, DataError, ModelError

OPTIONS = CatalogueOptions(length=16, held_out=0.25, vectors=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder, with its catalogue beside it and the table above."""
    place = tmp_path_factory.mktemp("classifier")
    folder = planted.save_model(place / "model")
    table = planted.save_table(place / "table.csv")
    build_catalogue(folder, str(table), OPTIONS)
    return folder


def test_each_class_has_its_neuron(model: Path) -> None:
    with Catalogue(model) as catalogue:
        assert catalogue.facts.kind == "text-classification"
        assert catalogue.facts.columns == ["question", "queue"]
        assert [(c.name, c.n_texts) for c in catalogue.facts.classes] == [
            ("card", 80), ("login", 80), ("refund", 80),
        ]  # fmt: skip
        assert catalogue.facts.n_documents == 240
        assert catalogue.facts.mean_score is not None
        for layer in (0, 1):
            for number, name in enumerate(planted.CLASSES):
                card = catalogue.card(Neuron(layer, "block_out", number))
                assert (card.line.score or 0) > 0.95
                assert {t.text.strip() for t in card.fires_on} == set(planted.CLASSES[name])
                # The end of the table fills no row, so one text of each part is cut short.
                assert card.details.classes[0][0] == name
                assert min(card.details.classes[0][1:]) > 0.97


def test_a_text_is_shown_by_itself(model: Path) -> None:
    with Catalogue(model) as catalogue:
        contexts = catalogue.card(Neuron(0, "block_out", 0)).contexts
    assert contexts
    for context in contexts:
        assert context.values[context.at] != 0
        # Ten tokens with those at both ends; a row may begin within a text.
        assert 1 <= len(context.texts) <= 10
        assert [text.strip() for text in context.texts].count("[CLS]") <= 1
        assert "[CLS]" not in [text.strip() for text in context.texts[1:]]


def test_neurons_are_found_by_class_without_reading_the_table_again(model: Path) -> None:
    with Catalogue(model) as catalogue:
        known = search_known_classes(catalogue, "refund", "card")
        read = search_classes(catalogue, model.parent / "table.csv", "refund", "card")
        everything = search_known_classes(catalogue, "login")
    assert {hit.line.neuron.index for hit in known[:2]} == {0}
    assert known[0].strength > 0.97
    assert "in 0% of 80 others" in known[0].why
    assert {hit.line.neuron.index for hit in everything[:2]} == {2}
    exact = {hit.line.neuron: hit.strength for hit in read}
    for hit in known:  # from nine ranges of values, against every value
        assert hit.strength == pytest.approx(exact[hit.line.neuron], abs=0.03)


def test_a_prompt_fires_the_neuron_of_its_words(model: Path) -> None:
    with Catalogue(model) as catalogue:
        hits = search_prompt(catalogue, "my card is not")
    whys = {hit.line.neuron.index: hit.why for hit in hits if hit.line.neuron.layer == 1}
    assert whys[1].endswith("at 'card'")
    assert 0 not in whys


def test_processes_make_the_same_catalogue(model: Path, tmp_path: Path) -> None:
    table = str(model.parent / "table.csv")
    other = CatalogueOptions(length=16, held_out=0.25, vectors=False, processes=2)
    built = build_catalogue(model, table, other, out=tmp_path / "two.sqlite")
    with Catalogue(model) as one, Catalogue(built.path) as two:
        dumps = [
            [row for row in c.database.iterdump() if 'INSERT INTO "facts"' not in row]
            for c in (one, two)
        ]
        assert compare(one, two).by_tokens == pytest.approx(1.0)
    assert dumps[0] == dumps[1]


def test_a_stopped_build_goes_on(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparsepath.concepts.record.SHARD_TOKENS", 512)
    table = str(model.parent / "table.csv")
    calls = []

    def stop(text: str) -> None:
        calls.append(text)
        if text.startswith("read") and len(calls) > 6:
            raise KeyboardInterrupt

    out = tmp_path / "one.sqlite"
    with pytest.raises(KeyboardInterrupt):
        build_catalogue(model, table, OPTIONS, out=out, say=stop)
    assert list(tmp_path.glob(".one.sqlite.recording/shard-*"))
    build_catalogue(model, table, OPTIONS, out=out)
    with Catalogue(model) as one, Catalogue(out) as two:
        assert one.facts.corpus_sha256 != ""
        lines = [[(x.neuron, x.label, x.score) for x in c.lines(order="name")] for c in (one, two)]
    assert lines[0] == lines[1]


def test_a_table_without_labels_will_do(model: Path, tmp_path: Path) -> None:
    rows = (model.parent / "table.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "t.csv").write_text("\n".join(row.split(",")[0] for row in rows), encoding="utf-8")
    told: list[str] = []
    built = build_catalogue(
        model, str(tmp_path / "t.csv"), OPTIONS, out=tmp_path / "c.sqlite", say=told.append
    )
    assert built.facts.classes == []
    assert any(text.startswith("classes are left out") for text in told)
    with Catalogue(built.path) as catalogue, pytest.raises(ConfigError, match="without classes"):
        search_known_classes(catalogue, "card")


def test_commands(model: Path) -> None:
    run = CliRunner()
    said = ["concepts", "search", str(model), "--for", "card", "--not", "refund", "--json"]
    found = json.loads(run.invoke(main, said).output)
    assert {hit["neuron"] for hit in found[:2]} == {"L00/1", "L01/1"}
    shown = run.invoke(main, ["concepts", "show", str(model), "L00/1"])
    assert "card: fires in 100% of the texts, AUROC 1.000" in " ".join(shown.output.split())
    listed = run.invoke(main, ["concepts", "list", str(model), "--limit", "3"])
    assert listed.exit_code == 0
    assert "L0" in listed.output


def test_wrong_use_is_refused(model: Path, tmp_path: Path) -> None:
    table = str(model.parent / "table.csv")
    dense = planted.save_model(tmp_path / "dense", is_sparse=False)
    with pytest.raises(ModelError, match="dense classifier"):
        build_catalogue(dense, table, OPTIONS)
    with pytest.raises(ConfigError, match="not sparse at mlp_hidden"):
        build_catalogue(model, table, CatalogueOptions(sites=("mlp_hidden",)))
    with pytest.raises(ConfigError, match="for language models"):
        build_catalogue(model, table, CatalogueOptions(dense_k=3))
    with pytest.raises(DataError, match="no table"):
        build_catalogue(model, str(tmp_path / "none.csv"), OPTIONS)
    with Catalogue(model) as catalogue:
        with pytest.raises(ConfigError, match="no class 'cards'"):
            search_known_classes(catalogue, "cards")
        with pytest.raises(ConfigError, match="name two classes"):
            search_known_classes(catalogue, "card", "card")
