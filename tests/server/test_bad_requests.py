"""Whatever a client sends, it is told what is wrong; the server answers on."""

import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from tests.server.served import JSON, Client, make_service, running

from sparsepath.audit.database import Database
from sparsepath.server.classifier import Answer, Classifier

CLASSIFY = "/api/v1/classify"
BODIES: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 422),
    "not JSON": (b"text=hello", 400),
    "cut off": (b'{"text": "a', 400),
    "a list": (b"[1, 2]", 422),
    "null": (b"null", 422),
    "no text": (b"{}", 422),
    "both": (b'{"text": "a", "texts": ["b"]}', 422),
    "no texts": (b'{"texts": []}', 422),
    "texts of another kind": (b'{"texts": [1, null, {"a": []}]}', 422),
    "an unknown key": (b'{"text": "a", "temperature": 1}', 422),
    "a key of broken Unicode": (b'{"\\ud800": 1}', 422),
    "a value of broken Unicode": (b'{"text": "a", "explain": "\\udfff"}', 422),
    "not a number": (b'{"text": NaN}', 422),
    "infinity": (b'{"text": "a", "explain": Infinity}', 422),
    "a huge number": (b'{"text": "a", "explain": 1' + b"0" * 9000 + b"}", 400),
    "deep": (b"[" * 200_000, 400),
    "deep and closed": (b'{"texts":' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400),
    "not UTF-8": (b'{"text": "\xff\xfe"}', 400),
    "too many texts": (json.dumps({"texts": ["a"] * 257}).encode(), 422),
    "too many to explain": (json.dumps({"texts": ["a"] * 9, "explain": True}).encode(), 422),
    "too large": (json.dumps({"text": "a" * (1 << 20)}).encode(), 413),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_bad_body_is_refused_with_its_fix(client: Client, case: str) -> None:
    body, status = BODIES[case]
    reply = client.ask("POST", CLASSIFY, body)
    assert reply.status == status, reply
    error = reply.json["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert error["fix"]
    assert client.classify("a good day")[0]["label"] in {"left", "right"}


def test_a_long_text_and_a_script_are_only_texts(client: Client) -> None:
    script = "<script>alert(1)</script>"
    answers = client.classify("day " * 100_000, script, "'; DROP TABLE record; --")
    assert len(answers) == 3
    assert script not in json.dumps(answers)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"]
)
def test_another_content_type_is_refused(client: Client, kind: str) -> None:
    reply = client.ask("POST", CLASSIFY, b'{"text": "a"}', {"Content-Type": kind})
    assert reply.status == 415


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:8000"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "localhost@evil.example"}, 421),
        ({"Host": ""}, 421),
        ({"Host": "[::1"}, 421),
        ({"Host": "LOCALHOST"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/healthz", "/openapi.json", CLASSIFY])
def test_a_foreign_host_or_origin_reaches_nothing(
    client: Client, headers: Mapping[str, str], status: int, path: str
) -> None:
    method, body = ("POST", {"text": "a"}) if path == CLASSIFY else ("GET", None)
    reply = client.ask(method, path, body, headers)
    assert reply.status == status
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("DELETE", "/", 405),
        ("GET", "/docs", 404),
        ("GET", "/api/v1/../../etc/passwd", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/" + "a" * 30_000, 404),
        ("GET", CLASSIFY, 405),
        ("DELETE", "/api/v1/models", 405),
        ("PROPFIND", "/healthz", 405),
    ],
)
def test_a_way_that_leads_nowhere_is_refused(
    client: Client, method: str, path: str, status: int
) -> None:
    reply = client.ask(method, path)
    assert reply.status == status
    assert reply.json["error"]["fix"]


@pytest.mark.parametrize(
    "content",
    [
        b"nonsense\r\n\r\n",
        b"BREW /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"POST /api/v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 99999999999999999999\r\n\r\n{}",
        b"POST /api/v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: -1\r\n\r\n{}",
        b"POST /api/v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
)
def test_broken_http_gets_a_client_error_or_nothing(client: Client, content: bytes) -> None:
    reply = client.raw(content)
    assert not reply or b" 4" in reply.partition(b"\r\n")[0], reply
    assert client.ask("GET", "/healthz").status == 200


def test_chunks_beyond_the_limit_are_refused(client: Client) -> None:
    head = (
        b"POST /api/v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    refused = client.raw(head + chunk * 17 + b"0\r\n\r\n")
    assert b" 413 " in refused.partition(b"\r\n")[0]
    client.raw(head + chunk * 400)  # without an end; not read to it
    assert client.ask("GET", "/healthz").status == 200


@pytest.fixture
def hasty(model_folder: Path, database: Database) -> Iterator[Client]:
    with running(make_service(model_folder, database, body_timeout_s=0.2)) as served:
        yield served


def test_a_body_that_does_not_come_is_given_up(hasty: Client) -> None:
    head = b"POST /api/v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=20) as connection:
        connection.sendall(head + f"Content-Type: {JSON['Content-Type']}\r\n\r\n".encode())
        assert b" 408 " in connection.recv(65536).partition(b"\r\n")[0]


@pytest.mark.parametrize("begun", [b"", b"GET /heal", b"GET /healthz HTTP/1.1\r\nHost: loc"])
def test_a_request_that_never_becomes_whole_is_closed(hasty: Client, begun: bytes) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=20) as connection:
        connection.sendall(begun)
        assert connection.recv(65536) == b""
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=20) as connection:
        connection.sendall(whole)
        assert b" 200 " in connection.recv(65536).partition(b"\r\n")[0]
        connection.sendall(whole[:9])
        while connection.recv(65536):
            pass


def test_a_slow_answer_is_not_closed(
    model_folder: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Classifier.answer

    def slow(self: Classifier, texts: Sequence[str]) -> list[Answer]:
        time.sleep(1.5)
        return answer(self, texts)

    monkeypatch.setattr(Classifier, "answer", slow)
    with running(make_service(model_folder, database, body_timeout_s=0.2)) as client:
        assert len(client.classify("a day")) == 1
