"""Keys: each role on each route; nothing without one where keys are demanded."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.served import Client, make_service, running

from sparsepath.audit.database import Database, open_database
from sparsepath.audit.keys import NewKey, add_key, revoke_key
from sparsepath.audit.roles import ROLES, Role
from sparsepath.errors import ConfigError
from sparsepath.server import auth
from sparsepath.server.app import create_app
from sparsepath.server.options import ServeOptions
from sparsepath.server.serve import load_model, serve

ROUTES: dict[tuple[str, str], Role] = {
    ("POST", "/api/v1/classify"): "viewer",
    ("GET", "/api/v1/models"): "viewer",
    ("GET", "/api/v1/audit"): "reviewer",
    ("GET", "/api/v1/audit/{seq}"): "reviewer",
    ("POST", "/api/v1/audit/{seq}/replay"): "reviewer",
    ("GET", "/api/v1/audit/verify"): "admin",
    ("GET", "/api/v1/audit/export"): "admin",
    ("GET", "/api/v1/audit/report"): "admin",
    ("POST", "/api/v1/jobs/poc"): "operator",
    ("POST", "/api/v1/jobs/catalogue"): "operator",
    ("POST", "/api/v1/jobs/training"): "operator",
    ("POST", "/api/v1/jobs/{id}/pause"): "operator",
    ("POST", "/api/v1/jobs/{id}/resume"): "operator",
    ("GET", "/api/v1/trainings"): "operator",
    ("GET", "/api/v1/trainings/{id}"): "operator",
    ("GET", "/api/v1/jobs"): "operator",
    ("GET", "/api/v1/jobs/{id}"): "operator",
    ("DELETE", "/api/v1/jobs/{id}"): "operator",
    ("GET", "/api/v1/jobs/{id}/events"): "operator",
    ("POST", "/api/v1/jobs/{id}/cancel"): "operator",
    ("GET", "/metrics"): "operator",
    ("GET", "/api/v1/rollout"): "operator",
    ("POST", "/api/v1/rollout/start"): "admin",
    ("POST", "/api/v1/rollout/promote"): "admin",
    ("POST", "/api/v1/rollout/roll-back"): "admin",
    ("GET", "/api/v1/rollout/models"): "operator",
    ("GET", "/api/v1/drift"): "operator",
    ("GET", "/v1/models"): "viewer",
    ("GET", "/v1/models/{name}"): "viewer",
    ("POST", "/v1/completions"): "viewer",
    ("POST", "/v1/chat/completions"): "viewer",
    ("GET", "/api/v1/policies"): "viewer",
    ("GET", "/api/v1/policies/{name}/{version}"): "viewer",
    ("GET", "/api/v1/policies/{name}/{version}/file"): "viewer",
    ("GET", "/api/v1/policies/draft"): "operator",
    ("POST", "/api/v1/policies/read"): "operator",
    ("POST", "/api/v1/policies"): "operator",
    ("POST", "/api/v1/policies/{name}/{version}/approve"): "reviewer",
    ("POST", "/api/v1/policies/{name}/{version}/revoke"): "reviewer",
    ("GET", "/api/v1/review"): "reviewer",
    ("GET", "/api/v1/review/export"): "reviewer",
    ("GET", "/api/v1/review/{seq}"): "reviewer",
    ("POST", "/api/v1/review/{seq}"): "reviewer",
    ("GET", "/api/v1/keys"): "admin",
    ("POST", "/api/v1/keys"): "admin",
    ("POST", "/api/v1/keys/{id}/revoke"): "admin",
    ("GET", "/api/v1/start"): "viewer",
    ("GET", "/api/v1/steering"): "viewer",
    ("GET", "/api/v1/steering/neuron"): "viewer",
    ("POST", "/api/v1/steering/try"): "viewer",
    ("POST", "/api/v1/steering/presets"): "operator",
    ("POST", "/api/v1/steering/sweeps"): "operator",
    ("GET", "/api/v1/steering/sweeps/{id}"): "operator",
    ("GET", "/api/v1/runs"): "viewer",
    ("GET", "/api/v1/runs/{run}"): "viewer",
    ("GET", "/api/v1/runs/{run}/compare"): "viewer",
    ("GET", "/api/v1/runs/{run}/rows"): "reviewer",
    ("GET", "/api/v1/runs/{run}/pathways"): "viewer",
    ("GET", "/api/v1/concepts"): "viewer",
    ("GET", "/api/v1/concepts/{catalogue}"): "viewer",
    ("GET", "/api/v1/concepts/{catalogue}/neurons"): "viewer",
    ("GET", "/api/v1/concepts/{catalogue}/neuron"): "viewer",
    ("GET", "/api/v1/concepts/{catalogue}/layers"): "viewer",
    ("GET", "/api/v1/concepts/{catalogue}/moments"): "viewer",
    ("GET", "/api/v1/concepts/{catalogue}/fire"): "viewer",
    ("GET", "/api/v1/explain"): "viewer",
    ("POST", "/api/v1/explain"): "viewer",
    ("POST", "/api/v1/concepts/{catalogue}/fire"): "viewer",
    ("POST", "/api/v1/concepts/{catalogue}/remarks"): "reviewer",
}
OPEN = ["/", "/why", "/healthz", "/readyz", "/openapi.json"]


@pytest.fixture(scope="module")
def keys(database: Database) -> dict[Role, NewKey]:
    return {role: add_key(database, f"a {role}", role, by="tests") for role in ROLES}


@pytest.fixture(scope="module")
def locked(model_folder: Path, database: Database) -> Iterator[Client]:
    with running(make_service(model_folder, database, needs_keys=True)) as served:
        yield served


def ask(client: Client, route: tuple[str, str], authorization: str | None) -> int:
    """Ask a route for something that it may refuse, but not for want of a role."""
    method, path = route
    body = None if method == "GET" else {}
    headers = {} if authorization is None else {"Authorization": authorization}
    return client.ask(method, filled(path), body, headers).status


def filled(path: str) -> str:
    """Give an address of a route, of something that does not exist."""
    return re.sub(r"{\w+}", "99999999", path)


def described(client: Client) -> dict[tuple[str, str], str | None]:
    """Give every route of the server's own description, with its role."""
    paths = client.ask("GET", "/openapi.json").json["paths"]
    return {
        (method.upper(), path): told.get("x-least-role")
        for path, methods in paths.items()
        for method, told in methods.items()
    }


def test_every_route_has_the_role_of_the_table(locked: Client) -> None:
    told = described(locked)
    open_to_all = {route for route, role in told.items() if role is None}
    assert open_to_all == {
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("POST", "/api/v1/logout"),
    }
    assert {route: role for route, role in told.items() if role is not None} == ROUTES


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_it_may_and_no_more(
    locked: Client, keys: dict[Role, NewKey], role: Role
) -> None:
    for route, least in described(locked).items():
        if least is None:
            continue
        got = ask(locked, route, f"Bearer {keys[role].secret}")
        is_allowed = ROLES.index(role) >= ROLES.index(least)  # type: ignore[arg-type]
        assert (got in {200, 404, 415, 422}) if is_allowed else (got == 403), (route, got)


def test_without_a_valid_key_nothing_is_answered(
    locked: Client, keys: dict[Role, NewKey], database: Database
) -> None:
    secret = keys["admin"].secret
    used = add_key(database, "revoked", "admin", by="tests")
    assert ask(locked, ("GET", "/metrics"), f"Bearer {used.secret}") == 200
    revoke_key(database, used.key.id, by="tests")
    locked.service.doorkeeper.forget()
    expired = add_key(database, "expired", "admin", days=1e-9, by="tests").secret
    wrong = [None, "", "Bearer", "Bearer x", f"Basic {secret}", secret, f"Bearer {secret}x"]
    wrong += [f"Bearer {secret[:-1]}", f"Bearer {secret.upper()}"]
    wrong += [f"Bearer {used.secret}", f"Bearer {expired}"]
    for route, least in described(locked).items():
        for authorization in wrong if least is not None else ():
            assert ask(locked, route, authorization) == 401, (route, authorization)
    for path in OPEN:
        assert locked.ask("GET", path).status == 200


def test_a_route_without_a_role_would_be_noticed(model_folder: Path, database: Database) -> None:
    app = create_app(make_service(model_folder, database))
    app.add_api_route("/api/v1/forgotten", lambda: None)
    told = app.openapi()["paths"]["/api/v1/forgotten"]["get"]
    assert "x-least-role" not in told


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
