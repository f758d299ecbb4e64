"""An endpoint is asked patiently, safely, and only when it is named."""

from collections.abc import Iterator

import pytest
from answerer import Answerer, answering

from sparsepath.concepts.endpoint import Endpoint, ask, key_from
from sparsepath.errors import ConfigError, RunError

QUESTION = 'said to fire at: "one of ab"\n1. "<<ab>> c"\n2. "ab <<c>>"'
ANSWER = '{"answers": ["yes", "no"]}'


@pytest.fixture
def server() -> Iterator[Answerer]:
    with answering() as one:
        yield one


def asked(server: Answerer, **other: float | str | None) -> tuple[str, list[float]]:
    """Ask, and give the waits between attempts."""
    waits: list[float] = []
    endpoint = Endpoint(url=server.url, model="rules", **other)  # type: ignore[arg-type]
    return ask(endpoint, "system", QUESTION, sleep=waits.append), waits


def test_a_question_is_asked_as_openai_has_it(server: Answerer) -> None:
    assert asked(server, key="secret") == (ANSWER, [])
    (request,) = server.asked
    assert request["path"] == "/v1/chat/completions"
    assert request["model"] == "rules"
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert server.keys == ["Bearer secret"]


def test_without_a_key_none_is_sent(server: Answerer) -> None:
    asked(server)
    assert server.keys == [None]


def test_what_may_pass_is_asked_again_after_growing_waits(server: Answerer) -> None:
    server.failures = [(500, {}), b"no json", b'{"choices": []}', (503, {})]
    assert asked(server, wait_s=0.5) == (ANSWER, [0.5, 1.0, 2.0, 4.0])


def test_the_wait_is_what_the_endpoint_asks_for_up_to_a_minute(server: Answerer) -> None:
    server.failures = [(429, {"Retry-After": "7"}), (429, {"Retry-After": "900"})]
    assert asked(server) == (ANSWER, [7.0, 60.0])


def test_an_answer_that_takes_too_long_is_asked_for_again(server: Answerer) -> None:
    server.failures = ["slow"]
    assert asked(server, timeout_s=0.2) == (ANSWER, [1.0])
    assert len(server.asked) == 2


def test_after_all_attempts_the_last_trouble_is_told(server: Answerer) -> None:
    server.failures = [(500, {})] * 3
    with pytest.raises(RunError, match="after 3 attempts: HTTP 500 told to fail"):
        asked(server, attempts=3)
    assert len(server.asked) == 3


def test_nobody_there_is_told_with_the_address() -> None:
    with answering() as gone:
        url = gone.url
    with pytest.raises(RunError, match="refused"):
        ask(Endpoint(url=url, model="m", attempts=1), "system", QUESTION)


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_a_refusal_is_final_and_keeps_the_key_to_itself(server: Answerer, status: int) -> None:
    server.failures = [(status, {"Location": f"{server.url}/elsewhere"})]
    with pytest.raises(RunError, match=f"refuses: HTTP {status}") as found:
        asked(server, key="secret")
    assert len(server.asked) == 1
    assert "secret" not in str(found.value)
    assert "secret" not in repr(Endpoint(url=server.url, model="m", key="secret"))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/v1", "ftp://127.0.0.1/v1", "127.0.0.1:80/v1", "https://me:pw@host/v1",
        "http://127.0.0.1.example.org/v1", "https://", "http://localhost:port/v1", "https://h/?a=b",
    ],
)  # fmt: skip
def test_other_addresses_are_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ConfigError, match="https") as found:
        Endpoint(url=url, model="m")
    assert "pw" not in str(found.value)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:1/v1/", "http://127.0.0.1:1/v1/chat/completions"),
        ("http://[::1]:1", "http://[::1]:1/chat/completions"),
        ("http://localhost/v1/chat/completions", "http://localhost/v1/chat/completions"),
        ("https://host/v1", "https://host/v1/chat/completions"),
    ],
)
def test_good_addresses_are_completed(url: str, address: str) -> None:
    assert Endpoint(url=url, model="m").address == address


def test_a_key_comes_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", " secret\n")
    assert key_from("SOME_KEY") == "secret"
    assert key_from(None) is None
    monkeypatch.delenv("SOME_KEY")
    with pytest.raises(ConfigError, match="'SOME_KEY' is not set"):
        key_from("SOME_KEY")
    with pytest.raises(ConfigError, match="no key has"):
        Endpoint(url="https://h/v1", model="m", key="a\nb")
