"""A key that asks too much is told when to come back; others are answered on."""

from pathlib import Path

import pytest
from tests.server.served import Client, Reply, make_service, running

from sparsepath.audit.clock import now
from sparsepath.audit.database import Database
from sparsepath.audit.keys import KeyLimits, add_key
from sparsepath.audit.usage import used_on


def ask(client: Client, secret: str, n: int = 1) -> Reply:
    headers = {"Authorization": f"Bearer {secret}"}
    return client.ask("POST", "/api/v1/classify", {"texts": ["a day"] * n}, headers)


def test_beyond_its_minute_a_key_waits_and_others_do_not(
    model_folder: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = add_key(database, "slow", "viewer", limits=KeyLimits(4, None), by="tests").secret
    free = add_key(database, "free", "operator", by="tests").secret
    clock = 1000.0
    monkeypatch.setattr("sparsepath.server.limits.monotonic", lambda: clock)
    with running(make_service(model_folder, database, needs_keys=True)) as client:
        assert ask(client, slow, 3).status == 200
        refused = ask(client, slow, 2)
        assert refused.status == 429
        assert refused.json["error"]["code"] == "limit"
        assert int(refused.headers["retry-after"]) == 15
        assert ask(client, free, 9).status == 200
        clock += 30  # two more
        assert ask(client, slow, 9).status == 422  # never, however long it waits
        assert ask(client, slow).status == 200
        assert ask(client, slow).status == 429
        told = client.ask("GET", "/metrics", None, {"Authorization": f"Bearer {free}"}).text
        assert 'sparsepath_limited_total{limit="minute"} 2' in told


def test_a_quota_is_shared_by_servers_and_survives_them(
    model_folder: Path, database: Database
) -> None:
    new = add_key(database, "daily", "viewer", limits=KeyLimits(None, 12), by="tests")
    first, second = (make_service(model_folder, database, needs_keys=True) for _ in range(2))
    with running(first) as one, running(second) as other:
        statuses = [ask(client, new.secret, 3).status for client in (one, other, one, other)]
        assert statuses == [200] * 4
        refused = ask(one, new.secret)
        assert refused.status == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 86_400
        assert ask(other, new.secret).status == 429
    with running(make_service(model_folder, database, needs_keys=True)) as client:
        assert ask(client, new.secret).status == 429


def test_what_was_taken_and_not_used_is_returned(model_folder: Path, database: Database) -> None:
    new = add_key(database, "many", "viewer", limits=KeyLimits(None, 1000), by="tests")
    with running(make_service(model_folder, database, needs_keys=True)) as client:
        assert ask(client, new.secret, 3).status == 200
        assert used_on(database, now()[:10])[new.key.id] == 10 + 2 - 2  # one part of a hundred
    assert used_on(database, now()[:10])[new.key.id] == 3
