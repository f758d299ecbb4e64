"""A language model and a classifier that are served and can be steered, with keys for people."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.server.served import Client, Reply, make_service, running
from tests.steering.planted_folder import save_steerable
from tests.steering.planted_lm import save_planted

from sparsepath.audit.database import Database, open_database
from sparsepath.audit.keys import add_key

PEOPLE = {"vera": "viewer", "bob": "reviewer", "alice": "operator", "carol": "admin"}


class Office(NamedTuple):
    """A server with keys for several persons."""

    client: Client
    database: Database
    secrets: dict[str, str]
    folder: Path

    def ask(self, person: str, method: str, path: str, body: object = None) -> Reply:
        headers = {"Authorization": f"Bearer {self.secrets[person]}"}
        return self.client.ask(method, path, body, headers)

    def get(self, path: str = "", person: str = "vera") -> Any:
        reply = self.ask(person, "GET", f"/api/v1/steering{path}")
        assert reply.status == 200, reply
        return reply.json


def _office(folder: Path, place: Path, **options: Any) -> Iterator[Office]:
    with open_database(str(place / "log.db")) as database:
        secrets = {
            name: add_key(database, name, role, by="tests").secret  # type: ignore[arg-type]
            for name, role in PEOPLE.items()
        }
        service = make_service(
            folder, database, needs_keys=True, store=place / "store", keep_texts=True, **options
        )
        with running(service) as client:
            yield Office(client, database, secrets, folder)


@pytest.fixture(scope="session")
def saved_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_planted(tmp_path_factory.mktemp("planted") / "counts")


@pytest.fixture(scope="session")
def saved_classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model; its table is beside it."""
    return save_steerable(tmp_path_factory.mktemp("classifier"))


@pytest.fixture
def lm(saved_lm: Path, tmp_path: Path) -> Iterator[Office]:
    yield from _office(shutil.copytree(saved_lm, tmp_path / "counts"), tmp_path)


@pytest.fixture
def classifier(saved_classifier: Path, tmp_path: Path) -> Iterator[Office]:
    yield from _office(shutil.copytree(saved_classifier, tmp_path / "model"), tmp_path)
