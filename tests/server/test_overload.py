"""Too much, too slow, gone, broken: requests end with a status, and the server goes on."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.server.served import Client, Reply, make_service, running

from sparsepath.audit.anchor import read_anchors
from sparsepath.audit.database import Database, open_database
from sparsepath.audit.log import head
from sparsepath.audit.verify import verify
from sparsepath.server.classifier import Answer, Classifier

ASK = b'{"text": "a day"}'


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """An engine that waits for an event before each batch; texts it saw are in `gate.seen`."""
    opened, answer = threading.Event(), Classifier.answer

    def slow(self: Classifier, texts: Sequence[str]) -> list[Answer]:
        assert opened.wait(20)
        return answer(self, texts)

    monkeypatch.setattr(Classifier, "answer", slow)
    yield opened
    opened.set()


def ask(client: Client) -> Reply:
    return client.ask("POST", "/api/v1/classify", ASK)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_beyond_the_queue_clients_are_told_when_to_come_back(
    model_folder: Path, database: Database, gate: threading.Event
) -> None:
    service = make_service(model_folder, database, batch_texts=1, queue_texts=3)
    with running(service) as client, ThreadPoolExecutor(8) as pool:
        first = pool.submit(ask, client)
        until(
            lambda: service.batcher.n_waiting == 0 and client.ask("GET", "/healthz").status == 200
        )
        time.sleep(0.1)
        waiting = [pool.submit(ask, client) for _ in range(3)]
        until(lambda: service.batcher.n_waiting == 3)
        refused = ask(client)
        assert refused.status == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert "sparsepath_queue_texts 3" in client.ask("GET", "/metrics").text
        gate.set()
        assert [future.result().status for future in (first, *waiting)] == [200] * 4
        assert ask(client).status == 200


def test_an_answer_that_takes_too_long_is_given_up(
    model_folder: Path, database: Database, gate: threading.Event
) -> None:
    with running(make_service(model_folder, database, timeout_s=0.1)) as client:
        before = head(database).seq
        assert ask(client).status == 504
        gate.set()
        assert ask(client).status == 200
        assert head(database).seq == before + 1  # nothing was said to the first, nothing recorded


def test_whoever_leaves_frees_the_place_in_the_queue(
    model_folder: Path, database: Database, gate: threading.Event
) -> None:
    service = make_service(model_folder, database, batch_texts=1, queue_texts=2)
    with running(service) as client, ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, client)
        time.sleep(0.2)
        head_ = b"POST /api/v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n"
        leaver = socket.create_connection(("127.0.0.1", client.port))
        leaver.sendall(head_ % len(ASK) + b"Content-Type: application/json\r\n\r\n" + ASK)
        until(lambda: service.batcher.n_waiting == 1)
        leaver.close()
        time.sleep(0.2)
        before = service.metrics.texts._values[()]
        gate.set()
        assert first.result().status == 200
        until(lambda: service.batcher.n_waiting == 0)
        assert ask(client).status == 200
        assert service.metrics.texts._values[()] == before + 2  # never the leaver's


def test_a_failing_engine_fails_its_requests_only(
    model_folder: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Classifier.answer

    def broken(self: Classifier, texts: Sequence[str]) -> list[Answer]:
        if "poison" in texts:
            raise ZeroDivisionError
        return answer(self, texts)

    monkeypatch.setattr(Classifier, "answer", broken)
    with running(make_service(model_folder, database)) as client:
        reply = client.ask("POST", "/api/v1/classify", {"text": "poison"})
        assert reply.status == 500
        assert reply.json["error"]["code"] == "bug"
        assert ask(client).status == 200


def test_without_the_log_no_answer_is_given_until_it_returns(
    model_folder: Path, tmp_path: Path
) -> None:
    with (
        open_database(str(tmp_path / "log.db")) as database,
        running(make_service(model_folder, database)) as client,
    ):
        with database.writing() as connection:
            connection.execute(text("ALTER TABLE head RENAME TO away"))
        refused = ask(client)
        assert refused.status == 503
        assert refused.json["error"]["code"] == "audit_unavailable"
        assert "label" not in refused.text
        with database.writing() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO head"))
        assert client.ask("GET", "/readyz").status == 200
        assert ask(client).status == 200
        assert verify(database).faults == []


def test_a_server_that_stops_finishes_what_it_began(
    model_folder: Path, database: Database, gate: threading.Event, tmp_path: Path
) -> None:
    anchor = tmp_path / "anchors.jsonl"
    with ThreadPoolExecutor(1) as pool:
        with running(make_service(model_folder, database, anchor=anchor)) as client:
            waiting = pool.submit(ask, client)
            time.sleep(0.2)
            threading.Timer(0.3, gate.set).start()
        assert waiting.result().status == 200
    anchors = read_anchors(anchor)
    assert anchors[-1].seq == head(database).seq
    assert len(anchors) == 2
    assert verify(database, anchors).faults == []
