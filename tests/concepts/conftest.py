"""A model with planted neurons, its corpus and its catalogue."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import planted
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.options import CatalogueOptions

OPTIONS = CatalogueOptions(length=16, held_out=0.25, vectors=False)


@pytest.fixture(scope="session")
def planted_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder, with its catalogue beside it."""
    place = tmp_path_factory.mktemp("planted")
    folder = planted.save_model(place / "model", n_layers=2)
    planted.save_corpus(place / "corpus.txt")
    build_catalogue(folder, str(place / "corpus.txt"), OPTIONS)
    return folder


@pytest.fixture(scope="session")
def corpus(planted_model: Path) -> str:
    """What the catalogue was made on."""
    return str(planted_model.parent / "corpus.txt")
