"""A catalogue of some layers only, of models that have two sparse ones."""

from pathlib import Path

import planted_classifier
import pytest

import planted
from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.neuron import Neuron
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.concepts.search import search_prompt
from sparsepath.errors import ConfigError

UPPER = {"length": 16, "held_out": 0.25, "vectors": False, "layers": (1,)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted.save_model(tmp_path_factory.mktemp("deep") / "model", n_layers=2)


def test_only_the_named_layers_are_catalogued(model: Path, corpus: str, tmp_path: Path) -> None:
    path = build_catalogue(model, corpus, CatalogueOptions(**UPPER), out=tmp_path / "c.sqlite").path
    with Catalogue(path) as catalogue:
        assert catalogue.facts.layers == {"block_out": [1]}
        numbers = catalogue.database.execute("SELECT DISTINCT layer FROM neuron").fetchall()
        assert [number for (number,) in numbers] == [1]
        assert {hit.line.neuron.layer for hit in search_prompt(catalogue, "the")} <= {1}
        assert catalogue.card(Neuron(1, "block_out", 3)).line.score


def test_of_a_classifier_too_and_by_processes(tmp_path: Path) -> None:
    folder = planted_classifier.save_model(tmp_path / "model")
    table = str(planted_classifier.save_table(tmp_path / "table.csv"))
    build_catalogue(folder, table, CatalogueOptions(**UPPER, processes=2))
    with Catalogue(folder) as catalogue:
        assert catalogue.facts.layers == {"block_out": [1]}
        hits = search_prompt(catalogue, "my card is not")
    assert {hit.line.neuron.layer for hit in hits} == {1}


def test_a_layer_that_is_not_there_is_refused(model: Path, corpus: str, tmp_path: Path) -> None:
    options = CatalogueOptions(**UPPER | {"layers": (1, 2)})
    with pytest.raises(ConfigError, match="layer 2 has no such site"):
        build_catalogue(model, corpus, options, out=tmp_path / "c.sqlite")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match="layer 0 beside an autoencoder"):
        CatalogueOptions(layers=(0,), autoencoder=tmp_path)
