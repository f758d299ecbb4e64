"""API keys over HTTP: made, told once, listed, revoked; and what is refused."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.served import Client, make_service, running

from sparsepath.audit.database import Database, open_database
from sparsepath.audit.keys import NewKey, add_key, find_key
from sparsepath.audit.verify import verify

KEYS = "/api/v1/keys"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with open_database(str(tmp_path_factory.mktemp("log") / "log.db")) as opened:
        yield opened


@pytest.fixture(scope="module")
def admin(database: Database) -> NewKey:
    return add_key(database, "Aki", "admin", by="tests")


@pytest.fixture(scope="module")
def locked(model_folder: Path, database: Database) -> Iterator[Client]:
    with running(make_service(model_folder, database, needs_keys=True)) as served:
        yield served


def sent(key: NewKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.secret}"}


def test_a_key_is_told_once_works_and_is_useless_once_revoked(
    locked: Client, database: Database, admin: NewKey
) -> None:
    asked = {"name": "票の振り分け", "role": "reviewer", "days": 7, "per_day": 50}
    made = locked.ask("POST", KEYS, asked, sent(admin))
    assert made.status == 201
    key, secret = made.json["key"], made.json["secret"]
    assert (key["role"], key["state"], key["per_day"], key["used_today"]) == (
        "reviewer", "valid", 50, 0,
    )  # fmt: skip
    found = find_key(database, secret)
    assert found is not None
    assert found.name == "票の振り分け"

    own = {"Authorization": f"Bearer {secret}"}
    assert locked.ask("GET", "/api/v1/review", None, own).status == 200
    assert locked.ask("GET", KEYS, None, own).status == 403
    listed = locked.ask("GET", KEYS, None, sent(admin))
    assert secret.split("_", 2)[2] not in str(listed.json)
    assert listed.json["are_demanded"]
    first, last = listed.json["keys"][0], listed.json["keys"][-1]
    assert (first["id"], first["is_yours"]) == (key["id"], False)
    assert first["used_today"] >= 1
    assert (last["name"], last["is_yours"], last["used_today"]) == ("Aki", True, None)

    ended = locked.ask("POST", f"{KEYS}/{key['id']}/revoke", {}, sent(admin))
    assert ended.json["state"] == "revoked"
    again = locked.ask("POST", f"{KEYS}/{key['id']}/revoke", {}, sent(admin))
    assert again.json["revoked"] == ended.json["revoked"]
    assert locked.ask("GET", "/api/v1/review", None, own).status == 401  # without a delay


def test_what_admins_do_to_keys_is_on_record_and_the_secret_is_not(
    locked: Client, database: Database, admin: NewKey
) -> None:
    made = locked.ask("POST", KEYS, {"name": "router"}, sent(admin)).json
    locked.ask("POST", f"{KEYS}/{made['key']['id']}/revoke", {}, sent(admin))
    told = locked.ask("GET", "/api/v1/audit?kind=key.add&kind=key.revoke", None, sent(admin)).json
    revoked, added = told["records"][:2]
    who = {"by": f"key:{admin.key.id}", "person": "Aki"}
    assert revoked["body"] == {"key": made["key"]["id"], **who}
    assert added["body"].items() >= {"name": "router", "role": "viewer", **who}.items()
    assert made["secret"].split("_", 2)[2] not in str(told)
    assert verify(database).faults == []


def test_no_line_of_the_log_has_a_secret(
    locked: Client, admin: NewKey, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "sparsepath.server"):
        made = locked.ask("POST", KEYS, {"name": "logged"}, sent(admin)).json
        locked.ask("GET", KEYS, None, {"Authorization": f"Bearer {made['secret']}"})
    told = " ".join(f"{one.getMessage()} {vars(one)}" for one in caplog.records)
    assert KEYS in told
    for secret in (made["secret"], admin.secret):
        assert secret.split("_", 2)[2] not in told


def test_no_key_revokes_itself(locked: Client, database: Database, admin: NewKey) -> None:
    told = locked.ask("POST", f"{KEYS}/{admin.key.id}/revoke", {}, sent(admin))
    assert (told.status, told.json["error"]["code"]) == (409, "own_key")
    assert find_key(database, admin.secret) is not None


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({}, 422),
        ({"name": ""}, 422),
        ({"name": "x" * 65}, 422),
        ({"name": "two\nlines"}, 422),
        ({"name": "a", "role": "owner"}, 422),
        ({"name": "a", "days": 0}, 422),
        ({"name": "a", "days": -1}, 422),
        ({"name": "a", "days": 3651}, 422),
        ({"name": "a", "per_day": 0}, 422),
        ({"name": "a", "per_minute": 10**10}, 422),
        ({"name": "a", "secret": "sp_mine"}, 422),
    ],
)
def test_what_no_key_can_be_is_refused(
    locked: Client, admin: NewKey, asked: dict[str, object], status: int
) -> None:
    n = len(locked.ask("GET", KEYS, None, sent(admin)).json["keys"])
    told = locked.ask("POST", KEYS, asked, sent(admin))
    assert told.status == status
    assert told.json["error"]["fix"]
    assert len(locked.ask("GET", KEYS, None, sent(admin)).json["keys"]) == n


@pytest.mark.parametrize(("id_", "status"), [("00ff", 404), ("no-id", 422)])
def test_keys_that_do_not_exist_are_not_revoked(
    locked: Client, admin: NewKey, id_: str, status: int
) -> None:
    assert locked.ask("POST", f"{KEYS}/{id_}/revoke", {}, sent(admin)).status == status


def test_where_no_key_is_demanded_keys_can_be_made_for_later(client: Client) -> None:
    made = client.ask("POST", KEYS, {"name": "later", "days": None})
    assert (made.status, made.json["key"]["expires"]) == (201, None)
    assert not client.ask("GET", KEYS).json["are_demanded"]
