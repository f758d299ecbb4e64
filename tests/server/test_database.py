"""Where the database fails, clients are refused, and never get an answer without a record."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.audit import postgresql
from tests.server.served import Client, make_service, running

from sparsepath.audit import clock
from sparsepath.audit.database import open_database
from sparsepath.audit.keys import add_key, find_key
from sparsepath.audit.log import append
from sparsepath.audit.period import read_period
from sparsepath.audit.record import Draft
from sparsepath.audit.verify import verify

ASK = {"text": "a good day"}


def test_postgresql_goes_away_and_returns(model_folder: Path) -> None:
    with (
        postgresql.server_that_can_stop() as (url, control),
        open_database(postgresql.create(url, "away")) as database,
        running(make_service(model_folder, database)) as client,
    ):
        assert len(client.classify("a good day")) == 1
        control("-m", "immediate", "stop")
        refused = client.ask("POST", "/api/v1/classify", ASK)
        assert refused.status == 503
        assert refused.json["error"]["code"] == "audit_unavailable"
        assert client.ask("GET", "/readyz").status == 503
        assert client.ask("GET", "/api/v1/audit").status == 503
        assert client.ask("GET", "/api/v1/jobs").status == 503
        assert client.ask("GET", "/healthz").status == 200
        place = re.findall(r"host=(\S+)", url)[0]
        control("-o", f"-k {place} -c listen_addresses='' -c fsync=off", "start")
        assert client.ask("GET", "/readyz").status == 200
        assert len(client.classify("a good day")) == 1
        assert verify(database).faults == []


FULL = """
import resource, sys, threading
from pathlib import Path
from tests.server.served import make_service, running
from sparsepath.audit.database import open_database
from sparsepath.audit.verify import verify
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with open_database(sys.argv[1]) as database:
    with running(make_service(Path(sys.argv[2]), database, keep_texts=True)) as client:
        assert len(client.classify("a good day")) == 1
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        refused = None
        for _ in range(30):
            reply = client.ask("POST", "/api/v1/classify", {"text": "a " * 100_000})
            if reply.status != 200:
                refused = reply
                break
        assert refused is not None
        assert refused.status == 503, refused
        assert "label" not in refused.text
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert client.ask("GET", "/readyz").status == 200
        assert len(client.classify("a good day")) == 1
    assert verify(database).faults == []
print("well")
"""


def test_a_disk_that_is_full_stops_answers_until_there_is_room(
    model_folder: Path, tmp_path: Path
) -> None:
    # The limit of the size of files stands for the disk's.
    words = [sys.executable, "-c", FULL, str(tmp_path / "log.db"), str(model_folder)]
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, *sys.path])}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == "well", done.stderr[-3000:]


@pytest.fixture
def two(model_folder: Path, tmp_path: Path) -> Iterator[list[Client]]:
    """Two servers on one SQLite file, each with its own connections."""
    with ExitStack() as stack:
        clients = []
        for _ in range(2):
            database = stack.enter_context(open_database(str(tmp_path / "log.db")))
            clients.append(stack.enter_context(running(make_service(model_folder, database))))
        yield clients


def test_two_servers_on_one_sqlite_file_write_one_chain(two: list[Client], tmp_path: Path) -> None:
    def ask(number: int) -> list[int]:
        answers = two[number % 2].classify("a good day", "a bad day")
        return [answer["record"]["seq"] for answer in answers]

    with ThreadPoolExecutor(8) as pool:
        seqs = [seq for pair in pool.map(ask, range(40)) for seq in pair]
    assert len(seqs) == len(set(seqs)) == 80
    with open_database(str(tmp_path / "log.db")) as database:
        assert verify(database).faults == []


def test_a_clock_that_jumps_back_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = datetime(2026, 11, 22, 12, tzinfo=UTC)

    class Jumping(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return moment

    monkeypatch.setattr(clock, "datetime", Jumping)
    draft = Draft(kind="decision", body={"label": "a"})
    with open_database(str(tmp_path / "log.db")) as database:
        append(database, [draft])
        key = add_key(database, "k", "viewer", days=1.0, by="tests")
        moment -= timedelta(days=400)
        append(database, [draft])
        assert find_key(database, key.secret) is not None
        moment += timedelta(days=402)
        assert find_key(database, key.secret) is None
        append(database, [draft])
        assert verify(database).faults == []
        period = read_period(database, "2020", "2030", is_verified=False)
        assert period.n_back == 1
        assert period.kinds["decision"] == 3
