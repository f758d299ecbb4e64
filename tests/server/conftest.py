"""A small classifier that is served with an empty log."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.served import Client, make_service, running

from sparsepath.audit.database import Database, open_database


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with open_database(str(tmp_path_factory.mktemp("log") / "log.db")) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(model_folder: Path, database: Database) -> Iterator[Client]:
    with running(make_service(model_folder, database, keep_texts=True)) as served:
        yield served
