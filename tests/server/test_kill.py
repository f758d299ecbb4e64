"""`sparsepath serve` killed under load: what was answered is on record, and the log is whole."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.audit import postgresql
from tests.server.served import Client

from sparsepath.audit.database import open_database
from sparsepath.audit.log import pages_in
from sparsepath.audit.verify import verify


@pytest.fixture(scope="module")
def postgresql_server() -> Iterator[str]:
    with postgresql.server() as url:
        yield url


@contextmanager
def served(
    model: Path, place: str, lines: list[str]
) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    """Run the command; lines of its log are in `lines` when the block has ended."""
    command = [sys.executable, "-m", "sparsepath", "serve", str(model), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--database", place], stderr=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stderr is not None
    try:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stderr.readline())
        assert found is not None
        # A full pipe would stop the server's log.
        with ThreadPoolExecutor(1) as pool:
            rest = pool.submit(process.stderr.read)
            try:
                yield process, Client(int(found[1]), None)  # type: ignore[arg-type]
            finally:
                process.kill()
                process.wait()
                lines += rest.result().splitlines()
    finally:
        process.stderr.close()


def load(client: Client, receipts: list[tuple[int, str]]) -> None:
    """Ask until the server is gone; keep what it acknowledged."""
    while True:
        try:
            answers = client.classify("a good day", "a bad day")
        except (OSError, ValueError, http.client.HTTPException):
            return
        receipts += [(a["record"]["seq"], a["record"]["hash"]) for a in answers]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_killed_under_load_nothing_that_was_answered_is_lost(
    kind: str, model_folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = str(tmp_path / "log.db")
    if kind == "postgresql":
        place = postgresql.create(request.getfixturevalue("postgresql_server"), "killed")
    receipts: list[tuple[int, str]] = []
    lines: list[str] = []
    with served(model_folder, place, []) as (process, client), ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(load, client, receipts)
        while len(receipts) < 60:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with open_database(place) as database:
        found = verify(database)
        assert found.faults == []
        with database.reading() as connection:
            kept = {(r.seq, r.hash) for page in pages_in(connection) for r in page}
    assert set(receipts) <= kept
    with served(model_folder, place, lines) as (process, client):
        assert client.classify("a good day", "bad")[0]["record"]["seq"] > found.records
        process.terminate()
        assert process.wait(20) == 0
    with open_database(place) as database:
        assert verify(database).faults == []
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events] == ["request", "stopped"]
    assert events[0]["route"] == "/api/v1/classify"
    assert events[0]["texts"] == 2
