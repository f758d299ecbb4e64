"""An empty log in every kind of database."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.audit import postgresql

from sparsepath.audit.database import Database, open_database


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    with postgresql.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a database may be made: a file, or the URL of an empty database."""
    if request.param == "sqlite":
        return str(tmp_path / "log.db")
    server = request.getfixturevalue("postgresql_server")
    return postgresql.create(server, uuid.uuid4().hex)


@pytest.fixture
def opened() -> Iterator[Callable[[str], Database]]:
    """Open databases, which are closed when the test ends."""
    databases: list[Database] = []

    def open_one(place: str) -> Database:
        databases.append(open_database(place))
        return databases[-1]

    yield open_one
    for database in databases:
        database.close()


@pytest.fixture
def database(place: str, opened: Callable[[str], Database]) -> Database:
    return opened(place)
