"""Answers over HTTP are the engine's, and each is on record before it is given."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.server.served import Client

from sparsepath.audit.database import Database
from sparsepath.audit.export import exported_lines
from sparsepath.audit.verify import verify
from sparsepath.runtime.engine import load_engine

TEXTS = ["a good day", "a very bad day", "", "poor", "カード \0", "\ud800 lone"]


def records(database: Database, kind: str = "decision") -> list[dict[str, object]]:
    lines = [json.loads(line) for line in exported_lines(database, with_texts=True)]
    return [line for line in lines if line["kind"] == kind]


def test_many_texts_get_the_engines_probabilities(client: Client, model_folder: Path) -> None:
    engine = load_engine(model_folder)
    want = engine.predict(TEXTS)
    for answer, row in zip(client.classify(*TEXTS), want, strict=True):
        got = [answer["probabilities"][label] for label in engine.labels]
        np.testing.assert_allclose(got, row, atol=2e-6)
        assert answer["label"] == engine.labels[int(row.argmax())]
        assert answer["probability"] == pytest.approx(float(row.max()), abs=2e-6)
        entropy = -sum(p * math.log(p) for p in row.tolist()) / math.log(2)
        assert answer["uncertainty"]["entropy"] == pytest.approx(entropy, abs=1e-5)
        assert answer["explanation"] is None


def test_one_text_is_asked_alone(client: Client) -> None:
    reply = client.ask("POST", "/api/v1/classify", {"text": "a good day"})
    assert reply.status == 200
    assert len(reply.json["answers"]) == 1
    assert reply.json["request"] == reply.headers["x-request-id"]


def test_every_answer_has_its_record_with_what_was_said(client: Client, database: Database) -> None:
    answers = client.classify("a fine day", "a poor day")
    kept = {line["seq"]: line for line in records(database)}
    for answer, text in zip(answers, ["a fine day", "a poor day"], strict=True):
        record = kept[answer["record"]["seq"]]
        assert record["hash"] == answer["record"]["hash"]
        assert record["body"]["label"] == answer["label"]
        assert record["body"]["probability"] == answer["probability"]
        assert record["body"]["by"] == "local"
        assert record["kept"]["input"]["text"] == text
    assert verify(database).faults == []


def test_an_explanation_is_what_leaving_words_out_does(client: Client, model_folder: Path) -> None:
    text = "a very bad day"
    (answer,) = client.classify(text, explain=True)
    explanation = answer["explanation"]
    engine = load_engine(model_folder)
    label = engine.labels.index(answer["label"])
    against = engine.labels.index(explanation["against"])

    def lead(words: str) -> float:
        p = engine.predict_one(words)
        return math.log(p[label] / p[against])

    words = explanation["words"]
    assert [text[word["start"] : word["end"]] for word in words] == text.split()
    for word in words:
        left = text[: word["start"]] + text[word["end"] :]
        assert word["share"] == pytest.approx(lead(text) - lead(left), abs=1e-3)
    assert max(abs(word["share"]) for word in words) > 0.01


def test_many_clients_at_once_share_batches_and_transactions(
    client: Client, database: Database
) -> None:
    before = len(records(database))
    with ThreadPoolExecutor(16) as pool:
        answers = [*pool.map(lambda i: client.classify(TEXTS[i % 4])[0], range(96))]
    assert len({answer["record"]["seq"] for answer in answers}) == 96
    for number in range(4):
        assert len({json.dumps(a["probabilities"]) for a in answers[number::4]}) <= 3  # padding
    assert len(records(database)) == before + 96
    assert verify(database).faults == []
    metrics = client.ask("GET", "/metrics").text
    counts = {
        line.split()[0]: float(line.split()[1]) for line in metrics.splitlines() if line[0] != "#"
    }
    assert counts["sparsepath_batch_texts_count"] < counts["sparsepath_texts_total"]
    assert counts["sparsepath_audit_seconds_count"] < counts["sparsepath_audit_records_total"]


def test_what_is_served_and_that_it_lives(client: Client, model_folder: Path) -> None:
    (model,) = client.ask("GET", "/api/v1/models").json["models"]
    assert model["labels"] == ["left", "right"]
    assert model["name"] == model_folder.name
    assert client.ask("GET", "/healthz").json == client.ask("GET", "/readyz").json
    paths = client.ask("GET", "/openapi.json").json["paths"]
    assert {"/api/v1/classify", "/api/v1/models", "/healthz", "/readyz", "/metrics"} <= set(paths)
    metrics = client.ask("GET", "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'sparsepath_requests_total{route="/healthz",status="200"}' in metrics.text


def test_no_text_of_a_user_is_in_log_or_metrics(
    client: Client, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        client.classify("xyzzy is secret")
        client.ask("POST", "/api/v1/classify", {"xyzzy": 1})
        client.ask("GET", "/xyzzy?q=xyzzy")
    told = [str(record.__dict__) for record in caplog.records]
    assert any("/api/v1/classify" in line for line in told)
    assert "xyzzy" not in "".join(told)
    assert "xyzzy" not in client.ask("GET", "/metrics").text
    assert "xyzzy" not in capsys.readouterr().err
