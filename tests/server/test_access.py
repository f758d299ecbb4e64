"""Keys: each role on each route; nothing without one where keys are demanded."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.served import Client, make_service, running

from sparsepath.audit.database import Database, open_database
from sparsepath.audit.keys import NewKey, add_key, revoke_key
from sparsepath.audit.roles import ROLES, Role
from sparsepath.errors import ConfigError
from sparsepath.server import auth
from sparsepath.server.options import ServeOptions
from sparsepath.server.serve import load_model, serve

ROUTES: dict[tuple[str, str], Role] = {
    ("POST", "/api/v1/classify"): "viewer",
    ("GET", "/api/v1/models"): "viewer",
    ("GET", "/metrics"): "operator",
    ("GET", "/v1/models"): "viewer",
    ("GET", "/v1/models/{name}"): "viewer",
    ("POST", "/v1/completions"): "viewer",
    ("POST", "/v1/chat/completions"): "viewer",
}
BODIES = {
    "/v1/completions": {"model": "m", "prompt": "a"},
    "/v1/chat/completions": {"model": "m", "messages": [{"role": "user", "content": "a"}]},
}
OPEN = ["/healthz", "/readyz", "/openapi.json"]


@pytest.fixture(scope="module")
def keys(database: Database) -> dict[Role, NewKey]:
    return {role: add_key(database, f"a {role}", role, by="tests") for role in ROLES}


@pytest.fixture(scope="module")
def locked(model_folder: Path, database: Database) -> Iterator[Client]:
    with running(make_service(model_folder, database, needs_keys=True)) as served:
        yield served


def ask(client: Client, route: tuple[str, str], authorization: str | None) -> int:
    method, path = route
    body = BODIES.get(path, {"text": "a day"}) if method == "POST" else None
    headers = {} if authorization is None else {"Authorization": authorization}
    return client.ask(method, path, body, headers).status


def test_every_route_is_in_the_table(locked: Client) -> None:
    paths = locked.ask("GET", "/openapi.json").json["paths"]
    told = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert told == {*ROUTES, ("GET", "/healthz"), ("GET", "/readyz")}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_it_may_and_no_more(
    locked: Client, keys: dict[Role, NewKey], role: Role, route: tuple[str, str]
) -> None:
    is_allowed = ROLES.index(role) >= ROLES.index(ROUTES[route])
    got = ask(locked, route, f"Bearer {keys[role].secret}")
    is_served = "/v1/" not in route[1] or "/api/" in route[1] or route[1] == "/v1/models"
    assert got == ((200 if is_served else 404) if is_allowed else 403)


@pytest.mark.parametrize("route", ROUTES)
def test_without_a_valid_key_nothing_is_answered(
    locked: Client, keys: dict[Role, NewKey], route: tuple[str, str]
) -> None:
    secret = keys["admin"].secret
    wrong = [None, "", "Bearer", "Bearer x", f"Basic {secret}", secret, f"Bearer {secret}x"]
    for authorization in [*wrong, f"Bearer {secret[:-1]}", f"Bearer {secret.upper()}"]:
        assert ask(locked, route, authorization) == 401, authorization
    for path in OPEN:
        assert locked.ask("GET", path).status == 200


def test_a_key_that_was_used_stops_working_when_revoked(
    locked: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "REMEMBERED_S", 0.0)
    new = add_key(database, "short-lived", "viewer", by="tests")
    route, sent = ("GET", "/api/v1/models"), f"Bearer {new.secret}"
    assert ask(locked, route, sent) == 200
    revoke_key(database, new.key.id, by="tests")
    assert ask(locked, route, sent) == 401


def test_an_address_beyond_loopback_needs_a_flag_and_a_key(
    model_folder: Path, tmp_path: Path
) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::", "example.org"):
        with pytest.raises(ConfigError, match="from other machines"):
            ServeOptions(host=host)
    asked = ServeOptions(host="0.0.0.0", is_public=True)
    assert asked.demands_keys
    assert "0.0.0.0" not in asked.hosts
    with (
        open_database(str(tmp_path / "log.db")) as empty,
        pytest.raises(ConfigError, match="there is none"),
    ):
        serve(load_model(model_folder, asked), empty, asked)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9"])
def test_loopback_needs_neither(host: str) -> None:
    assert not ServeOptions(host=host).demands_keys
