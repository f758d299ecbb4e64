"""Logging in at a real provider of identities: the whole way, and every way around it."""

import base64
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pytest
from playwright.sync_api import expect
from tests.e2e.conftest import Open
from tests.e2e.provider import Idp, Visitor, provider
from tests.server.served import Client, make_service, running

from sparsepath.audit.database import Database, open_database
from sparsepath.audit.export import exported_lines
from sparsepath.audit.logins import list_logins
from sparsepath.audit.verify import verify
from sparsepath.server.login.attempt import begin_attempt
from sparsepath.server.login.errors import RefusedError, TokenError
from sparsepath.server.login.fetch import fetch_json
from sparsepath.server.login.id_token import Expected, verified
from sparsepath.server.login.options import LoginOptions
from sparsepath.server.login.provider import Provider
from sparsepath.server.login.rules import RoleRules

pytestmark = pytest.mark.e2e

SECRET = "s3cret & +%/=~"
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = RoleRules(
    scope=["openid", "profile", "email", "groups"],
    roles={"viewer": ["staff"], "admin": ["owners"]},
)


class House(NamedTuple):
    """A server where people log in, and their provider."""

    client: Client
    database: Database
    idp: Idp
    options: LoginOptions

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.client.port}"

    @property
    def back(self) -> str:
        return f"{self.url}/api/v1/login/callback"

    def begun(self, visitor: Visitor, next_: str = "/") -> str:
        """Begin to log in; give where our server sends the visitor."""
        seen = visitor.ask(f"{self.url}/api/v1/login?next={next_}")
        assert seen.status == 303
        assert seen.location is not None
        assert seen.location.startswith(f"{self.idp.issuer}/")
        return seen.location

    def logged_in(self, who: str) -> Visitor:
        visitor = Visitor()
        back = visitor.sent_back(self.begun(visitor), who)
        assert visitor.ask(back).location == f"{self.url}/"
        return visitor

    def start(self, visitor: Visitor) -> Any:
        seen = visitor.ask(f"{self.url}/api/v1/start")
        return json.loads(seen.text) if seen.status == 200 else seen.status

    def records(self, kind: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in exported_lines(self.database)]
        return [line["body"] for line in lines if line["kind"] == kind]


@pytest.fixture(scope="module")
def house(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with (
        provider() as idp,
        open_database(str(tmp_path_factory.mktemp("login") / "log.db")) as database,
    ):
        options = LoginOptions(
            issuer=idp.issuer, client_id="page", secret=SECRET, rules=RULES, hours=1.0
        )
        with running(make_service(model_folder, database, login=options)) as client:
            found = House(client, database, idp, options)
            idp.build(found.back)
            yield found


def without_typeface(page: Any) -> None:
    """Let nothing come from elsewhere; the provider's own screens ask for a typeface."""
    page.context.route(re.compile("^https?://fonts"), lambda route: route.fulfill(body=""))


def changed(address: str, **parameters: str) -> str:
    """Give an address with other parameters."""
    parts = urlsplit(address)
    told = {name: values[0] for name, values in parse_qs(parts.query).items()} | parameters
    query = "&".join(f"{name}={value}" for name, value in told.items())
    return urlunsplit(parts._replace(query=query))


def parameter(address: str, name: str) -> str:
    return parse_qs(urlsplit(address).query)[name][0]


def failure(seen: Any) -> str:
    assert seen.status == 303
    return parameter(seen.location, "login")


def test_people_log_in_on_the_page_see_who_they_are_and_log_out(
    open_page: Open, house: House
) -> None:
    page = open_page("/why?lang=en", url=house.url)
    without_typeface(page)
    page.evaluate(AXE.read_text(encoding="utf-8") + ";0")
    for dark in ("light", "dark"):
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", dark)
        found = page.evaluate("axe.run().then((r) => r.violations.map((v) => [v.id, v.impact]))")
        assert [one for one in found if one[1] in {"serious", "critical"}] == []
    page.get_by_role("link", name="Log in").press("Enter")
    page.get_by_placeholder("Enter any login").fill("bob")
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(f"{house.url}/why?lang=en")
    page.locator("header").get_by_text("Bob script window.hacked=1 /script").wait_for()
    # No script may read what lets the browser in.
    assert page.evaluate("document.cookie") == ""
    (cookie,) = [c for c in page.context.cookies() if c["name"] == "sparsepath_login"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert not cookie["secure"]
    page.reload()
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("link", name="Log in").wait_for()
    assert house.records("login.end")[-1]["person"].startswith("Bob ")


def test_who_has_no_role_is_told_so_in_japanese_too(open_page: Open, house: House) -> None:
    page = open_page("/?lang=ja", url=house.url, width=380)
    without_typeface(page)
    page.get_by_role("link", name="ログイン").click()
    page.get_by_placeholder("Enter any login").fill("mallory")
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("役割")
    assert "<html" in page.content()
    refused = house.records("login.refuse")[-1]
    assert refused["subject"] == "mallory"
    assert not any(one.person == refused["person"] for one in list_logins(house.database))


def test_groups_give_roles_and_the_record_has_name_and_role(house: House) -> None:
    alice, bob = house.logged_in("alice"), house.logged_in("bob")
    assert house.start(alice)["role"] == "admin"
    assert house.start(bob)["role"] == "viewer"
    assert house.start(Visitor()) == 401
    assert alice.ask(f"{house.url}/api/v1/audit/verify").status == 200
    assert bob.ask(f"{house.url}/api/v1/audit/verify").status == 403
    made = house.records("login.add")[-2:]
    assert [(one["subject"], one["role"]) for one in made] == [
        ("alice", "admin"),
        ("bob", "viewer"),
    ]
    assert made[0]["person"].startswith("alice of tests <")
    assert made[0]["issuer"] == house.idp.issuer
    assert verify(house.database).faults == []


def test_a_session_is_the_browsers_alone_and_ends(house: House) -> None:
    alice = house.logged_in("alice")
    told = [one for one in alice.set if one.startswith("sparsepath_login=")]
    assert all(mark in told[-1] for mark in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=3600"))
    secret = alice.cookies[urlsplit(house.url).netloc]["sparsepath_login"]
    assert house.start(alice)["person"].startswith("alice of tests <")
    # Another page of this machine, or of elsewhere, cannot use the login.
    own, logout = {"Origin": house.url}, f"{house.url}/api/v1/logout"
    for headers in ({}, {"Origin": "http://127.0.0.1:9"}, own | {"Sec-Fetch-Site": "same-site"}):
        assert alice.ask(logout, method="POST", headers=headers).status == 403
    for site in ("cross-site", "same-site"):
        asked = alice.ask(f"{house.url}/api/v1/start", headers={"Sec-Fetch-Site": site})
        assert asked.status == 403
    assert alice.ask(logout, method="POST", headers=own).status == 200
    assert house.start(alice) == 401
    # The cookie that was taken back is worth nothing to who kept it.
    alice.cookies[urlsplit(house.url).netloc]["sparsepath_login"] = secret
    assert house.start(alice) == 401
    with open_database(house.database.name.removeprefix("sqlite:///")) as same:
        assert [one.ended is not None for one in list_logins(same)][-1]


def test_a_code_counts_once_and_only_in_the_browser_that_asked(house: House) -> None:
    alice, mallory = Visitor(), Visitor()
    back = alice.sent_back(house.begun(alice), "alice")
    # Another browser, with no attempt or with one of its own.
    assert failure(mallory.ask(back)) == "lost"
    house.begun(mallory)
    assert failure(mallory.ask(back)) == "lost"
    # With a state of its own the code is refused: it is bound to the first browser's verifier.
    own = parameter(house.begun(mallory), "state")
    assert failure(mallory.ask(changed(back, state=own))) == "failed"
    assert house.start(mallory) == 401
    # That used the code up, as it should; and one that was used is not taken again.
    fresh = alice.sent_back(house.begun(alice), "alice")
    kept = dict(alice.cookies[urlsplit(house.url).netloc])
    assert alice.ask(fresh).location == f"{house.url}/"
    replayed = Visitor()
    replayed.cookies[urlsplit(house.url).netloc] = kept
    assert failure(replayed.ask(fresh)) == "failed"
    assert house.start(replayed) == 401


def test_a_login_of_another_nonce_issuer_or_without_a_code_is_refused(house: House) -> None:
    def refused(asked: dict[str, str], came: dict[str, str]) -> str:
        visitor = Visitor()
        address = changed(house.begun(visitor), **asked).replace(" ", "%20")
        found = failure(visitor.ask(changed(visitor.sent_back(address, "alice"), **came)))
        assert house.start(visitor) == 401
        return found

    assert refused({"nonce": "n" * 43}, {}) == "failed"
    assert refused({}, {"iss": "http://localhost:9"}) == "failed"
    assert refused({}, {"code": ""}) == "failed"
    assert refused({}, {"code": "made-up"}) == "failed"
    assert refused({}, {"state": "s" * 43}) == "lost"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/%5Cevil.example",
        "/api/v1/logout",
        "/why%0d%0aX:1",
    ],
)
def test_a_login_goes_on_to_screens_alone(house: House, elsewhere: str) -> None:
    visitor = Visitor()
    back = visitor.sent_back(house.begun(visitor, elsewhere), "bob")
    assert visitor.ask(back).location == f"{house.url}/"


def test_real_tokens_count_for_their_client_login_and_time_alone(house: House) -> None:
    """A token of the provider, looked at as our server does, and forged from there."""
    token, keys, nonce = real_token(house, house.options)
    expected = Expected(house.idp.issuer, "page", nonce)
    now_s = float(json.loads(decoded(token.split(".")[1]))["iat"])
    assert verified(token, keys, expected, now_s)["sub"] == "alice"
    for wrong in (
        expected._replace(issuer=f"{house.idp.issuer}/"),
        expected._replace(client_id="other"),
        expected._replace(nonce="n" * 43),
    ):
        with pytest.raises(TokenError):
            verified(token, keys, wrong, now_s)
    for moment in (now_s + 3600, now_s - 3600):
        with pytest.raises(TokenError, match=r"expired|future"):
            verified(token, keys, expected, moment)
    header, body, signature = token.split(".")
    claims = json.loads(decoded(body)) | {"sub": "mallory"}
    for forged in (
        f"{encoded({'alg': 'none'})}.{body}.",
        f"{encoded({'alg': 'None'})}.{body}.{signature}",
        f"{encoded({'alg': 'HS256', 'kid': 'key-0'})}.{body}.{signature}",
        f"{header}.{encoded(claims)}.{signature}",
        f"{header}.{body}.{signature[:-8]}AAAAAAAA",
        f"{header}.{body}.",
    ):
        with pytest.raises(TokenError, match="signature"):
            verified(forged, keys, expected, now_s)
    # A token that the same provider gave another client.
    other = LoginOptions(issuer=house.idp.issuer, client_id="other", secret="another", rules=RULES)
    foreign, _, nonce = real_token(house, other)
    with pytest.raises(TokenError, match="aud"):
        verified(foreign, keys, expected._replace(nonce=nonce), now_s)


def test_with_another_secret_or_verifier_there_is_no_token(house: House) -> None:
    for wrong in (None, "guess"):
        options = LoginOptions(issuer=house.idp.issuer, client_id="page", secret=wrong, rules=RULES)
        with pytest.raises(RefusedError, match="invalid_client"):
            real_token(house, options)
    with pytest.raises(RefusedError, match="invalid_grant"):
        real_token(house, house.options, verifier="v" * 43)


def test_new_keys_of_the_provider_count_at_once_and_old_ones_no_more(house: House) -> None:
    token, keys, nonce = real_token(house, house.options)
    house.idp.build(house.back, rotate=True)
    assert house.start(house.logged_in("alice"))["role"] == "admin"
    new = fetch_json(f"{house.idp.issuer}/jwks")
    assert new != keys
    now_s = float(json.loads(decoded(token.split(".")[1]))["iat"])
    with pytest.raises(TokenError, match="signature"):
        verified(token, new, Expected(house.idp.issuer, "page", nonce), now_s)


def test_no_secret_or_code_is_in_the_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    visitor = Visitor()
    with caplog.at_level(logging.INFO, "sparsepath.server"):
        back = visitor.sent_back(house.begun(visitor), "alice")
        visitor.ask(back)
        visitor.ask(back)
        assert failure(visitor.ask(back)) == "lost"
    told = " ".join(f"{one.getMessage()} {vars(one)}" for one in caplog.records)
    assert "login failed" in told
    cookies = visitor.cookies[urlsplit(house.url).netloc].values()
    lines = "".join(exported_lines(house.database)) + repr(house.options)
    for secret in (SECRET, parameter(back, "code"), parameter(back, "state"), *cookies):
        assert secret not in told
        assert secret not in lines


def test_where_the_provider_is_away_the_page_says_so(model_folder: Path, tmp_path: Path) -> None:
    options = LoginOptions(issuer="http://localhost:9", client_id="page", rules=RULES)
    with (
        open_database(str(tmp_path / "log.db")) as database,
        running(make_service(model_folder, database, login=options)) as client,
    ):
        seen = Visitor().ask(f"http://127.0.0.1:{client.port}/api/v1/login")
        assert failure(seen) == "unavailable"


def real_token(
    house: House, options: LoginOptions, *, verifier: str | None = None
) -> tuple[str, dict[str, Any], str]:
    """Log in as a client does, and give token, keys and nonce."""
    provider_, attempt, visitor = Provider(options), begin_attempt("/"), Visitor()
    back = visitor.sent_back(provider_.address(attempt, house.back), "alice")
    form = {
        "grant_type": "authorization_code",
        "code": parameter(back, "code"),
        "redirect_uri": house.back,
        "code_verifier": verifier or attempt.verifier,
    }
    told = provider_._exchanged(provider_._described(), form)
    return told["id_token"], fetch_json(f"{house.idp.issuer}/jwks"), attempt.nonce


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def encoded(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
