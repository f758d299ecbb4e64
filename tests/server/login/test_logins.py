"""A login on routes: each role on each, its end, its marks; beside keys."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.server.served import Client, Reply, make_service, running
from tests.server.test_access import described, filled

from sparsepath.audit import logins as audit_logins
from sparsepath.audit.database import Database
from sparsepath.audit.export import exported_lines
from sparsepath.audit.keys import add_key
from sparsepath.audit.logins import Identity, add_login, end_login, find_login, list_logins
from sparsepath.audit.roles import ROLES, Role
from sparsepath.audit.verify import verify
from sparsepath.cli.main import main
from sparsepath.errors import ConfigError
from sparsepath.server.login import desk
from sparsepath.server.login.options import LoginOptions
from sparsepath.server.login.rules import RoleRules

RULES = RoleRules(roles={"viewer": ["staff"]})
OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def house(model_folder: Path, database: Database) -> Iterator[Client]:
    options = LoginOptions(
        issuer="https://id.invalid", client_id="page", rules=RULES,
        page_url="https://models.example.org",
    )  # fmt: skip
    with running(make_service(model_folder, database, login=options)) as served:
        yield served


def person(role: str) -> Identity:
    return Identity("https://id.invalid", f"subject of {role}", f"A {role}")


def logged_in(client: Client, database: Database, role: Role) -> dict[str, str]:
    secret = add_login(database, person(role), role, hours=1.0).secret
    origin = f"http://127.0.0.1:{client.port}"
    return OWN | {"Cookie": f"__Host-sparsepath_login={secret}", "Origin": origin}


def ask(client: Client, route: tuple[str, str], headers: dict[str, str]) -> Reply:
    method, path = route
    return client.ask(method, filled(path), None if method == "GET" else {}, headers)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_by_login_what_it_may_by_key(
    house: Client, database: Database, role: Role
) -> None:
    headers = logged_in(house, database, role)
    for route, least in described(house).items():
        if least is None:
            continue
        got = ask(house, route, headers).status
        is_allowed = ROLES.index(role) >= ROLES.index(least)  # type: ignore[arg-type]
        assert (got in {200, 404, 415, 422}) if is_allowed else (got == 403), (route, got)


def test_without_a_login_that_counts_nothing_is_answered(
    house: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = logged_in(house, database, "admin")
    secret = headers["Cookie"].partition("=")[2]
    wrong = ["", f"__Host-sparsepath_login={secret[:-1]}", f"sparsepath_login={secret}",
             "__Host-sparsepath_login=", f"__Host-sparsepath_login={secret}x"]  # fmt: skip
    routes = {route: least for route, least in described(house).items() if least is not None}
    for route in routes:
        for cookie in wrong:
            assert ask(house, route, headers | {"Cookie": cookie}).status == 401
    # A key that is sent counts, and a wrong one is not helped by a login.
    route = ("GET", "/api/v1/start")
    key = {"Authorization": f"Bearer {add_key(database, 'k', 'viewer', by='tests').secret}"}
    assert ask(house, route, key).json["person"] is None
    assert ask(house, route, headers | {"Authorization": "Bearer wrong"}).status == 401
    assert ask(house, route, headers).json["person"].startswith("A admin <")
    assert ask(house, route, {}).json["error"]["code"] == "no_login"
    monkeypatch.setattr(desk, "REMEMBERED_S", 0.0)
    (login,) = [one for one in list_logins(database) if one.person.startswith("A admin")][-1:]
    end_login(database, login.id, by="tests")
    assert ask(house, route, headers).status == 401
    short = add_login(database, person("viewer"), "viewer", hours=1e-9).secret
    assert ask(house, route, {"Cookie": f"__Host-sparsepath_login={short}"}).status == 401


def test_where_the_page_has_https_cookies_go_by_nothing_else(
    house: Client, database: Database
) -> None:
    headers = logged_in(house, database, "viewer")
    left = house.ask("POST", "/api/v1/logout", {}, headers)
    assert left.status == 200
    told = left.headers["set-cookie"]
    assert all(mark in told for mark in ("__Host-", "Secure", "HttpOnly", "SameSite=lax", "Path=/"))
    assert house.ask("POST", "/api/v1/logout", {}, headers).status == 200
    came = house.ask("GET", "/api/v1/login/callback?state=x&code=y")
    assert (came.status, came.headers["location"]) == (303, "/?login=lost")


def test_another_page_cannot_use_a_login(house: Client, database: Database) -> None:
    headers = logged_in(house, database, "admin")
    for site in ("same-site", "cross-site", "odd"):
        wrong = headers | {"Sec-Fetch-Site": site}
        assert house.ask("GET", "/api/v1/start", None, wrong).status == 403
        assert house.ask("POST", "/api/v1/logout", {}, wrong).status == 403
    without = {name: value for name, value in headers.items() if name != "Origin"}
    assert house.ask("POST", "/api/v1/logout", {}, without).status == 403
    foreign = headers | {"Origin": "https://models.example.org.evil"}
    assert house.ask("POST", "/api/v1/logout", {}, foreign).status == 403
    assert house.ask("GET", "/api/v1/start", None, headers).status == 200


def test_only_the_provider_and_links_to_the_page_may_come_from_elsewhere(house: Client) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert house.ask("GET", "/api/v1/login/callback", headers=foreign).status == 303
    assert house.ask("GET", "/", headers=foreign).status == 200
    scripted = foreign | {"Sec-Fetch-Mode": "no-cors"}
    for path in ("/api/v1/login/callback", "/api/v1/login", "/api/v1/start", "/"):
        assert house.ask("GET", path, headers=scripted).status == 403
    assert house.ask("GET", "/api/v1/login", headers=foreign).status == 403


def test_without_a_provider_nobody_logs_in(client: Client) -> None:
    for method, path in (("GET", "login"), ("GET", "login/callback"), ("POST", "logout")):
        found = client.ask(method, f"/api/v1/{path}", None if method == "GET" else {})
        assert (found.status, found.json["error"]["code"]) == (404, "no_login")


def test_a_clock_that_jumps_back_brings_no_login_to_life(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = add_login(database, person("viewer"), "viewer", hours=1.0).secret
    assert find_login(database, secret) is not None
    for moment, is_known in (("2020-01-01", False), ("2100-01-01", False)):
        clock = f"{moment}T00:00:00.000000Z"
        monkeypatch.setattr(audit_logins, "now", lambda clock=clock: clock)
        assert (find_login(database, secret) is not None) is is_known


def test_logins_are_listed_and_ended_by_command_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sparsepath.audit.database import open_database

    monkeypatch.chdir(tmp_path)
    with open_database("sparsepath.db") as opened:
        login = add_login(opened, person("admin"), "admin", hours=2.0).login
        listed = json.loads(CliRunner().invoke(main, ["logins", "list", "--json"]).stdout)
        assert [row["id"] for row in listed] == [login.id]
        assert "in     admin" in CliRunner().invoke(main, ["logins", "list"]).stdout
        assert CliRunner().invoke(main, ["logins", "end", login.id]).exit_code == 0
        assert CliRunner().invoke(main, ["logins", "end", login.id]).exit_code == 0
        assert CliRunner().invoke(main, ["logins", "end", "none"]).exit_code == 1
        assert "ended" in CliRunner().invoke(main, ["logins", "list"]).stdout
        kinds = [json.loads(line)["kind"] for line in exported_lines(opened)]
        assert kinds == ["login.add", "login.end"]
        assert verify(opened).faults == []
        with pytest.raises(ConfigError, match="no login"):
            end_login(opened, "0" * 16, by="tests")
