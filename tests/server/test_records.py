"""The audit log over HTTP: found, read, checked, exported, reported and replayed by who may."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.server.served import Client, Reply, make_service, running

from sparsepath.audit.database import Database, open_database
from sparsepath.audit.keys import add_key
from sparsepath.audit.log import forget
from sparsepath.audit.record import line_hash
from sparsepath.audit.roles import Role
from sparsepath.server.records_schema import READABLE

AUDIT = "/api/v1/audit"


class Log:
    """A server whose log holds a few decisions; asked by people of several roles."""

    def __init__(self, client: Client, database: Database) -> None:
        self.client, self.database = client, database
        roles: tuple[Role, ...] = ("viewer", "reviewer", "admin")
        self._secrets = {r: add_key(database, r, r, by="tests").secret for r in roles}
        self.answers = self.post("viewer", "/api/v1/classify", {"texts": ["a good day", "bad"]})
        self.answers = self.answers.json["answers"]

    def get(self, role: Role, path: str, **query: Any) -> Reply:
        asked = urlencode(query, doseq=True)
        headers = {"Authorization": f"Bearer {self._secrets[role]}"}
        return self.client.ask("GET", f"{AUDIT}{path}?{asked}", None, headers)

    def post(self, role: Role, path: str, body: object) -> Reply:
        headers = {"Authorization": f"Bearer {self._secrets[role]}"}
        return self.client.ask("POST", path, body, headers)


@pytest.fixture
def log(model_folder: Path, tmp_path: Path) -> Iterator[Log]:
    with open_database(str(tmp_path / "log.db")) as database:
        service = make_service(model_folder, database, needs_keys=True, keep_texts=True)
        with running(service) as client:
            yield Log(client, database)


def test_a_reviewer_finds_and_reads_decisions_but_no_keys(log: Log) -> None:
    first, second = (answer["record"]["seq"] for answer in log.answers)
    page = log.get("reviewer", "").json
    assert [record["seq"] for record in page["records"]] == [second, first]
    assert page["next"] is None
    label = log.answers[0]["label"]
    found = log.get("reviewer", "", label=label, **{"from": "2020-01-01"}).json["records"]
    assert first in [record["seq"] for record in found]
    assert log.get("reviewer", "", kind="key.add").status == 403
    assert log.get("reviewer", "/1").status == 403
    assert log.get("reviewer", f"/{first}").json["kept"] == {"input": "a good day"}
    assert log.get("reviewer", "/99999").status == 404
    read = log.get("admin", "", kind="text.read").json["records"]
    assert [record["body"]["first"] for record in read] == [first]


def test_an_operator_reads_rollouts_and_a_reviewer_does_not() -> None:
    reviewer, operator = (
        {kind.partition(".")[0] for kind in READABLE[role]} for role in ("reviewer", "operator")
    )
    assert reviewer == {"decision", "generation", "policy", "review"}
    assert operator == reviewer | {"rollout", "drift"}
    assert len(READABLE["admin"]) > len(READABLE["operator"])
    assert READABLE["viewer"] == ()


def test_a_record_is_read_without_its_text_and_leaves_no_record_then(log: Log) -> None:
    first = log.answers[0]["record"]["seq"]
    told = log.get("reviewer", f"/{first}", with_texts=False).json
    assert (told["kept"], told["has_texts"]) == ({}, ["input"])
    assert log.get("admin", "", kind="text.read").json["records"] == []
    hash_ = told["body"]["texts"]["input"]
    for one in (hash_, told["hash"]):
        found = log.get("reviewer", "", hash=one).json["records"]
        assert [record["seq"] for record in found] == [first]


def test_an_admin_pages_through_everything(log: Log) -> None:
    seen: list[int] = []
    before: dict[str, int] = {}
    while True:
        page = log.get("admin", "", limit=2, **before).json
        seen += [record["seq"] for record in page["records"]]
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == 1
    assert len(seen) == len(set(seen)) == 6


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"from": "2026-01-02", "to": "2026-01-01"},
        {"kind": "nonsense"},
        {"limit": 501},
        {"before": 0},
        {"before": 2**64},
        {"unknown": "1"},
        {"label": "x" * 1001},
        {"hash": "0" * 63},
        {"hash": "\0"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(log: Log, query: dict[str, Any]) -> None:
    reply = log.get("admin", "", **query)
    assert reply.status == 422
    assert reply.json["error"]["fix"]


def test_the_chain_is_verified_and_exported_whole(log: Log) -> None:
    assert log.get("admin", "/verify").json["faults"] == []
    assert log.client.service._walking.locked() is False
    lines = [json.loads(line) for line in log.get("admin", "/export").text.splitlines()]
    previous = "0" * 64
    for line in lines:
        claimed = line.pop("hash")
        plain = json.dumps(line, sort_keys=True, separators=(",", ":"))
        assert line["previous"] == previous
        assert line_hash(plain) == claimed
        previous = claimed
    assert "a good day" not in json.dumps(lines)
    told = log.get("admin", "/export", with_texts=True, first=5, last=5).text
    (line,) = [json.loads(one) for one in told.splitlines()]
    assert line["kept"]["input"]["text"] == "a good day"
    assert log.get("admin", "", kind="text.read").json["records"]


def test_a_report_is_a_page_without_scripts_or_figures(log: Log) -> None:
    reply = log.get("admin", "/report", **{"from": "2020-01-01", "lang": "ja"})
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "script" not in reply.headers["content-security-policy"]
    assert '<html lang="ja">' in reply.text
    told = log.get("admin", "/report", **{"from": "2020-01-01", "format": "json"}).json
    assert (told["answers"], told["chain"]["faults"]) == (2, [])
    quick = {"from": "2020-01-01", "format": "json", "verify": False}
    assert log.get("admin", "/report", **quick).json["chain"] is None
    assert log.get("admin", "/report", **{"from": "2020-01-01", "format": "md"}).text[0] == "#"
    assert log.get("admin", "/report").status == 422
    assert log.get("admin", "/report", **{"from": "2020", "to": "2019"}).status == 422


def test_a_decision_is_replayed_with_the_kept_or_the_brought_text(log: Log) -> None:
    seq = log.answers[0]["record"]["seq"]
    path = f"{AUDIT}/{seq}/replay"
    told = log.post("reviewer", path, {}).json
    assert told["is_same"]
    assert told["then"]["label"] == log.answers[0]["label"]
    assert told["now"]["sha256"] == told["then"]["sha256"]
    replays = log.get("reviewer", "", kind="decision.replay").json["records"]
    assert replays[0]["seq"] == told["record"]["seq"]
    assert log.post("reviewer", path, {"text": "a good day"}).json["is_same"]
    refused = log.post("reviewer", path, {"text": "a good Day"})
    assert refused.status == 422
    assert "its hash is another one" in refused.text
    assert log.post("reviewer", f"{AUDIT}/9999/replay", {}).status == 404
    assert log.post("admin", f"{AUDIT}/1/replay", {}).status == 422
    forget(log.database, seq=seq, by="tests")
    assert "were deleted" in log.post("reviewer", path, {}).text
