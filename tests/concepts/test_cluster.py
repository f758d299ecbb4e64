"""A Ray cluster makes the catalogue that one process makes; skipped where Ray is not installed."""

from pathlib import Path

import planted_classifier
import pytest

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.errors import ConfigError, MissingExtraError

OPTIONS = {"length": 16, "held_out": 0.25, "vectors": False}


def _content(path: Path) -> list[str]:
    with Catalogue(path) as catalogue:
        return [row for row in catalogue.database.iterdump() if 'INTO "facts"' not in row]


@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_a_cluster_makes_the_same_catalogue(
    planted_model: Path, corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    monkeypatch.chdir(Path(corpus).parent)  # a task works in another folder
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        asked = CatalogueOptions(ray="local", processes=2, **OPTIONS)
        one = build_catalogue(planted_model, Path(corpus).name, asked, out=tmp_path / "a.sqlite")
        other = build_catalogue(
            planted_model, Path(corpus).name, CatalogueOptions(**OPTIONS), out=tmp_path / "b.sqlite"
        )
        assert _content(one.path) == _content(other.path)
        table = planted_classifier.save_table(tmp_path / "table.csv")
        model = planted_classifier.save_model(tmp_path / "classifier")
        paths = [
            build_catalogue(model, str(table), some, out=tmp_path / name).path
            for name, some in (("c.sqlite", asked), ("d.sqlite", CatalogueOptions(**OPTIONS)))
        ]
        assert _content(paths[0]) == _content(paths[1])
    finally:
        ray.shutdown()


def test_without_ray_the_extra_is_named(
    planted_model: Path, corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    asked = CatalogueOptions(ray="local", **OPTIONS)
    with pytest.raises(MissingExtraError, match=r"sparsepath\[ray\]"):
        build_catalogue(planted_model, corpus, asked, out=tmp_path / "a.sqlite")


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_is_not_there_is_named(
    planted_model: Path, corpus: str, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    asked = CatalogueOptions(ray="127.0.0.1:9", **OPTIONS)
    with pytest.raises(ConfigError, match="no Ray cluster at"):
        build_catalogue(planted_model, corpus, asked, out=tmp_path / "a.sqlite")
