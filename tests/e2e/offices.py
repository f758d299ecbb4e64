"""Servers with keys for several persons: one with classifiers, one with a language model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.server.models_of_a_run import make_run, swapped, with_results
from tests.server.runs import HOSTILE
from tests.server.served import Client, Reply, make_service, running
from tests.server.small_lm import make_lm

from sparsepath.audit.database import Database, open_database
from sparsepath.audit.keys import add_key
from sparsepath.audit.roles import Role

PEOPLE: dict[str, Role] = {
    "vera": "viewer",
    "bob": "reviewer",
    "alice": "operator",
    "carol": "admin",
}
TEXTS = ["a good day", "a very bad day", HOSTILE, "poor", "fine", "a bad day", "very good"]


class Office(NamedTuple):
    """A server, and who has keys."""

    client: Client
    database: Database
    folder: Path
    secrets: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.client.port}"

    def ask(self, person: str, method: str, path: str, body: object = None) -> Reply:
        headers = {"Authorization": f"Bearer {self.secrets[person]}"}
        return self.client.ask(method, f"/api/v1{path}", body, headers)

    def seen_by(self, person: str) -> dict[str, Any]:
        """Give how a page is opened with somebody's key."""
        return {"url": self.url, "key": self.secrets[person]}


@contextmanager
def classifiers(model_folder: Path, place: Path) -> Iterator[Office]:
    """Serve `old`; `same` and `other`, which never agrees with it, lie beside."""
    run = place / "run"
    models = make_run(model_folder, run, ["old", "same", "other"])
    swapped(models, "other")
    with_results(run, ["old", "same", "other"], TEXTS * 20)
    options = {"review_below": 1.0, "drift_window": 50}
    with _office(models / "old", place, **options) as office:
        for text in TEXTS:
            office.ask("vera", "POST", "/classify", {"text": text})
        yield office


@contextmanager
def language(place: Path) -> Iterator[Office]:
    """Serve a language model with the presets `calm` and `wild`; `next` lies beside."""
    make_lm(place / "next", seed=1)
    with _office(make_lm(place / "small", seed=0), place) as office:
        yield office


@contextmanager
def _office(model: Path, place: Path, **options: Any) -> Iterator[Office]:
    with open_database(str(place / "log.db")) as database:
        secrets = {
            name: add_key(database, name, role, by="tests").secret for name, role in PEOPLE.items()
        }
        with running(make_service(model, database, needs_keys=True, **options)) as client:
            yield Office(client, database, model, secrets)
