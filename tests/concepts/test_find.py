"""Planted neurons are found by prompt and by class, matched between models, followed in time."""

import shutil
from pathlib import Path

import pytest

import planted
from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.neuron import Neuron
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.compare import compare
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.concepts.search import search_classes, search_meaning, search_prompt
from sparsepath.concepts.track import track
from sparsepath.errors import ConfigError, DataError, ModelError, RunError

OPTIONS = CatalogueOptions(length=16, held_out=0.25, vectors=False)
SWAPPED = {0: 1, 1: 0}


@pytest.fixture(scope="module")
def later(planted_model: Path, corpus: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model in which lists 0 and 1 have changed places and list 2 has no neuron."""
    place = tmp_path_factory.mktemp("later") / "model"
    folder = planted.save_model(place, n_layers=2, neuron_of=SWAPPED, left_out=(2,))
    build_catalogue(folder, corpus, OPTIONS)
    return folder


def test_what_fires_in_a_prompt_comes_first(planted_model: Path) -> None:
    with Catalogue(planted_model) as catalogue:
        hits = search_prompt(catalogue, f"hab {planted.LISTS[7][0]} jed")
        assert {hit.line.neuron for hit in hits[:2]} == {Neuron(i, "block_out", 7) for i in (0, 1)}
        assert repr(planted.LISTS[7][0]) in hits[0].why
        assert len(hits) < 2 * (planted.N_LISTS + planted.N_OTHERS)
        with pytest.raises(DataError, match="empty"):
            search_prompt(catalogue, "")


def test_what_tells_a_class_from_others_comes_first(planted_model: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    rows = [f"hab {planted.LISTS[8][i % 3]} jed pig {i},refund" for i in range(30)]
    rows += [f"hab {planted.LISTS[9][i % 3]} pig jed {i},card" for i in range(30)]
    rows += [f"hab {planted.LISTS[8][i % 3]} jed jed {i},other" for i in range(30)]
    table.write_text("\n".join(["text,label", *rows]))
    with Catalogue(planted_model) as catalogue:
        hits = search_classes(catalogue, table, "refund", "card")
        assert [(h.line.neuron.index, h.strength) for h in hits[:2]] == [(8, 1.0), (8, 1.0)]
        assert "in 100% of 30 texts, in 0% of 30 others" in hits[0].why
        against_all = search_classes(catalogue, table, "refund")
        assert next(h for h in against_all if h.line.neuron.index == 8).strength < 1.0
        with pytest.raises(DataError, match="0 texts of 'refunds'"):
            search_classes(catalogue, table, "refunds")


def test_meaning_needs_vectors(planted_model: Path) -> None:
    with Catalogue(planted_model) as catalogue, pytest.raises(ConfigError, match="no vectors"):
        search_meaning(catalogue, "anything")


def test_the_model_of_a_catalogue_must_be_there(planted_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(planted_model, folder)
    away = tmp_path / "away.sqlite"
    shutil.copyfile(folder / "concepts.sqlite", away)
    with Catalogue(away) as catalogue:
        assert catalogue.facts.model == str(planted_model)
    (folder / "model.safetensors").write_bytes(b"other")
    with pytest.raises(RunError, match="another model"):
        Catalogue(folder)
    database = Catalogue(away)
    object.__setattr__(database.facts, "model", str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="put the catalogue beside its model"):
        search_prompt(database, "hab")
    database.close()


def test_equal_models_are_alike_and_shuffled_ones_are_not(planted_model: Path) -> None:
    with Catalogue(planted_model) as catalogue:
        found = compare(catalogue, catalogue)
    assert found.by_tokens == pytest.approx(1.0)
    assert found.control < 0.5
    assert all(pair.by_pattern in (0.0, 1.0) for pair in found.pairs)


def test_swapped_neurons_are_unlike_by_name_and_found_by_where_they_fire(
    planted_model: Path, later: Path
) -> None:
    with Catalogue(planted_model) as first, Catalogue(later) as second:
        by_name = compare(first, second)
        unlike = {pair.neuron.index for pair in by_name.pairs if pair.by_tokens < 0.01}
        assert {0, 1} <= unlike
        best = {pair.neuron: pair.other.index for pair in compare(first, second, best=True).pairs}
    assert best[Neuron(0, "block_out", 0)] == 1
    assert best[Neuron(0, "block_out", 1)] == 0
    assert all(best[Neuron(0, "block_out", i)] == i for i in range(3, planted.N_LISTS))


def test_a_neurons_life_is_told(planted_model: Path, later: Path) -> None:
    with Catalogue(planted_model) as early, Catalogue(later) as late:
        forward = track([early, early, late], ["1", "2", "3"])
        back = track([late, early, early], ["1", "2", "3"])
    lives = {life.neuron: life for life in forward.lives}

    def events(index: int) -> list[str]:
        return [moment.event for moment in lives[Neuron(0, "block_out", index)].moments]

    assert events(5) == ["appears", "stays", "stays"]
    assert events(2) == ["appears", "stays", "dies"]
    assert events(0) == ["appears", "stays", "moves"]
    assert lives[Neuron(0, "block_out", 0)].moments[2].moved_to == Neuron(0, "block_out", 1)
    assert lives[Neuron(0, "block_out", 0)].settled_at == "3"
    assert lives[Neuron(0, "block_out", 5)].settled_at == "1"
    assert lives[Neuron(0, "block_out", 2)].settled_at is None
    born = next(life for life in back.lives if life.neuron == Neuron(0, "block_out", 2))
    assert [moment.event for moment in born.moments] == ["dead", "appears", "stays"]
    assert born.settled_at == "2"
    assert forward.steps[1].to_before == pytest.approx(1.0)
    assert (forward.steps[1].control or 0) < 0.5


def test_layers_that_do_the_same_are_consistent(planted_model: Path) -> None:
    with Catalogue(planted_model) as catalogue:
        (layer,) = track([catalogue], ["now"]).layers
    assert layer.mean == pytest.approx(1.0)
    assert layer.control < 0.5
