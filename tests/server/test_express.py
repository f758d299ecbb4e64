"""A plain question takes a short way; nothing but time may tell it from the ordinary one."""

import json
import socket
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from tests.server.served import JSON, Client, Reply, make_service, running

from sparsepath.audit.database import Database
from sparsepath.audit.keys import add_key
from sparsepath.server import express
from sparsepath.server.classifier import Classifier

ORDINARY = {"Cookie": "a=b"}
WAY = "/api/v1/classify"
CHANGING = {"request", "record"}


def both(client: Client, body: object, **headers: str) -> tuple[Reply, Reply]:
    """Ask the same by both ways."""
    short = client.ask("POST", WAY, body, headers)
    return short, client.ask("POST", WAY, body, headers | ORDINARY)


def lasting(content: Any) -> Any:
    """Leave out what differs from request to request."""
    if isinstance(content, dict):
        return {key: lasting(value) for key, value in content.items() if key not in CHANGING}
    return [lasting(one) for one in content] if isinstance(content, list) else content


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Say which questions took the short way."""
    seen: list[str] = []
    answered = express.answered

    async def told(question: Any, *more: Any) -> Any:
        seen.append(question.text or "several")
        return await answered(question, *more)

    monkeypatch.setattr(express, "answered", told)
    return seen


@pytest.mark.parametrize(
    "body",
    [
        {"text": "a good day"},
        {"texts": ["a good day", "", "カード"], "explain": True},
        {"text": "a", "against": "no label at all"},
        {"texts": []},
        {"text": 5},
        {"text": "a", "more": 1},
        {},
        [],
        b"{",
        b"",
        b'{"text": "\\ud800"}',
        json.dumps({"text": "utf-16"}).encode("utf-16"),
    ],
)
def test_both_ways_say_the_same(client: Client, body: object) -> None:
    short, ordinary = both(client, body)
    assert (short.status, lasting(short.json)) == (ordinary.status, lasting(ordinary.json))
    left_out = {"x-request-id", "date", "content-length"}
    for one, other in ((short, ordinary), (ordinary, short)):
        assert {k: v for k, v in one.headers.items() if k not in left_out}.items() <= (
            other.headers.items()
        )
    if short.status == 200:
        assert list(short.json) == list(ordinary.json)
        assert list(short.json["answers"][0]) == list(ordinary.json["answers"][0])


def test_plain_questions_take_it_and_are_counted_as_the_others(
    client: Client, taken: list[str]
) -> None:
    counted = f'sparsepath_requests_total{{route="{WAY}",status="200"}} '
    before = _value(client, counted)
    both(client, {"text": "plain"})
    assert taken == ["plain"]
    assert _value(client, counted) == before + 2


def _value(client: Client, name: str) -> float:
    lines = client.ask("GET", "/metrics").text.splitlines()
    return next((float(line[len(name) :]) for line in lines if line.startswith(name)), 0.0)


def test_keys_roles_and_limits_hold_on_it(
    model_folder: Path, database: Database, taken: list[str]
) -> None:
    key = add_key(database, "express", "viewer", by="tests").secret
    body = {"text": "a day"}
    with running(make_service(model_folder, database, needs_keys=True)) as client:
        for header in ("", "Bearer", "Bearer ", f"Basic {key}", "Bearer wrong", key):
            short, ordinary = both(client, body, Authorization=header)
            assert (short.status, short.text) == (ordinary.status, ordinary.text)
            assert short.status == 401
        assert taken == []
        for header in (f"Bearer {key}", f"bearer {key}"):
            short, ordinary = both(client, body, Authorization=header)
            assert short.status == ordinary.status == 200
    assert len(taken) == 2


def test_a_fault_of_ours_is_told_alike(
    model_folder: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Classifier, texts: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(Classifier, "answer", broken)
    with running(make_service(model_folder, database)) as client:
        short, ordinary = both(client, {"text": "a"})
        assert (short.status, short.text) == (ordinary.status, ordinary.text)
        assert short.status == 500


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ",
        b"GET /healthz?",
        b"POST /api/v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nTrailer: ",
    ],
)
def test_a_head_without_end_is_not_kept(client: Client, begun: bytes) -> None:
    content = begun + b"a" * 100_000_000
    tracemalloc.start()
    try:
        with socket.create_connection(("127.0.0.1", client.port), timeout=20) as connection:
            with pytest.raises(OSError):  # noqa: PT011 - refused or reset, as the moment wants
                connection.sendall(content)
            assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert client.ask("POST", WAY, {"text": "a"}, JSON).status == 200
