"""Who gets which role, and where a login goes on to."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sparsepath.audit.logins import Identity, person_of
from sparsepath.audit.policy import same_person
from sparsepath.cli.main import main
from sparsepath.errors import ConfigError
from sparsepath.server.login.attempt import begin_attempt, read_attempt, screen
from sparsepath.server.login.options import SECRET_VARIABLE, LoginOptions, read_secret
from sparsepath.server.login.rules import RoleRules, read_rules
from sparsepath.server.options import ServeOptions

RULES = RoleRules(roles={"viewer": ["staff"], "reviewer": ["legal", "quality"], "admin": ["own"]})


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["staff"], "viewer"),
        (["staff", "legal"], "reviewer"),
        (["own", "staff"], "admin"),
        ("quality", "reviewer"),
        (["Staff"], None),
        (["staff "], None),
        ([], None),
        (None, None),
        (7, None),
        ([["staff"]], None),
        ({"staff": True}, None),
    ],
)
def test_the_highest_role_of_a_persons_groups_counts_and_there_is_no_default(
    groups: object, role: str | None
) -> None:
    assert RULES.role_of({"groups": groups}) == role
    within = RULES.model_copy(update={"claim": "realm.roles"})
    assert within.role_of({"realm": {"roles": groups}}) == role
    assert within.role_of({"realm": groups}) is None
    assert RULES.role_of({}) is None


def test_an_address_counts_only_where_the_provider_checked_it() -> None:
    rules = RoleRules(claim="email", roles={"admin": ["alice@example.org"]})
    mail: dict[str, Any] = {"email": "alice@example.org"}
    assert rules.role_of(mail | {"email_verified": True}) == "admin"
    for checked in ({}, {"email_verified": False}, {"email_verified": "true"}):
        assert rules.role_of(mail | checked) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[roles]\nviewer = ["x"]\nboss = ["y"]', "boss"),
        ('claims = "x"\n[roles]\nviewer = ["x"]', "claims"),
        ("[roles]", "roles"),
        ('claim = "groups"', "roles"),
        ('[roles]\nviewer = "x"', "viewer"),
        ('[roles]\nviewer = [""]', "viewer"),
        ('claim = "a..b"\n[roles]\nviewer = ["x"]', "claim"),
        ('scope = ["profile"]\n[roles]\nviewer = ["x"]', "openid"),
        ('scope = ["openid x"]\n[roles]\nviewer = ["x"]', "scope"),
        ("roles = ", "no TOML"),
    ],
)
def test_a_file_of_roles_with_a_fault_is_refused(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "roles.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=told):
        read_rules(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_rules(tmp_path / "none.toml")


def test_a_person_stays_the_same_under_another_name() -> None:
    alice = person_of(Identity("https://id.example", "1", "Alice Smith"))
    married = person_of(Identity("https://id.example", "1", "Alice <b>\n\u202eJones" + "x" * 300))
    other = person_of(Identity("https://id.example", "2", "Bob"))
    elsewhere = person_of(Identity("https://id2.example", "1", "Bob Smith"))
    assert same_person(alice, married)
    assert same_person(alice, "alice SMITH")
    assert same_person(other, person_of(Identity("https://id.example", "3", " bob ")))
    for one in (other, elsewhere, "alice", "bob"):
        assert not same_person(alice, one)
    assert len(married) <= 64
    assert married.isprintable()
    assert person_of(Identity("x", "1", "\n")).startswith("? <")


@pytest.mark.parametrize("address", ["/", "/why", "/poc?run=a&lang=ja"])
def test_a_login_goes_on_to_where_it_began(address: str) -> None:
    attempt = begin_attempt(address)
    assert read_attempt(attempt.packed()) == attempt
    assert attempt.next == address
    assert attempt != begin_attempt(address)


@pytest.mark.parametrize(
    "address",
    ["", "why", "//x.example", "/\\x.example", "https://x/", "/api/v1/start", "/../", "/why x",
     "/why?x\r\nSet-Cookie: a=b", "/wh\u00fd", "/why#x", "http:/why", "/why?" + "x" * 1000],
)  # fmt: skip
def test_a_login_goes_on_to_nowhere_else(address: str) -> None:
    assert screen(address) in {"/", "/why"}


@pytest.mark.parametrize("cookie", [None, "", "x", "!", "e30", "W10", "WzEsMiwzLDRd", "a" * 5000])
def test_a_cookie_that_is_no_attempt_is_none(cookie: str | None) -> None:
    assert read_attempt(cookie) is None
    state, nonce, verifier, _next = begin_attempt("/")
    assert not begin_attempt("/").answers(state)
    assert not begin_attempt("/").answers("")
    assert len({state, nonce, verifier}) == 3


@pytest.mark.parametrize(
    "url",
    ["http://id.example", "id.example", "ftp://id.example", "https://", "https://a@id.example",
     "https://id.example?x", "https://id.example#x", "https://id.example:x", "https://id .example",
     "http://127.0.0.1.example", "file:///etc/passwd", "http://[::1"],
)  # fmt: skip
def test_secrets_go_to_https_or_this_machine_alone(url: str) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        LoginOptions(issuer=url, client_id="page", rules=RULES)
    with pytest.raises(ConfigError, match="cannot be used"):
        LoginOptions(issuer="https://id.example", client_id="page", rules=RULES, page_url=url)


def test_logging_in_beyond_this_machine_needs_tls() -> None:
    facts: dict[str, Any] = {"issuer": "https://id.example", "client_id": "page", "rules": RULES}
    assert ServeOptions(login=LoginOptions(**facts)).demands_keys
    for page in (None, "http://127.0.0.1:8000"):
        with pytest.raises(ConfigError, match="without TLS"):
            ServeOptions(host="0.0.0.0", is_public=True, login=LoginOptions(**facts, page_url=page))
    secure = LoginOptions(**facts, page_url="https://models.example.org")
    served = ServeOptions(host="0.0.0.0", is_public=True, login=secure)
    assert "models.example.org" in served.hosts
    wrong: list[dict[str, Any]] = [
        {"hours": 0.0}, {"hours": 721.0}, {"hours": float("nan")}, {"client_id": " "},
        {"page_url": "https://models.example.org/x"},
    ]  # fmt: skip
    for more in wrong:
        with pytest.raises(ConfigError):
            LoginOptions(**facts | more)


def test_the_secret_comes_from_a_file_or_the_environment_and_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text(" from the file\n")
    monkeypatch.setenv(SECRET_VARIABLE, "from outside")
    assert read_secret(file) == "from the file"
    assert read_secret(None) == "from outside"
    monkeypatch.delenv(SECRET_VARIABLE)
    assert read_secret(None) is None
    file.write_text("\n")
    for wrong in (file, tmp_path / "none"):
        with pytest.raises(ConfigError):
            read_secret(wrong)
    told = LoginOptions(issuer="https://i", client_id="c", rules=RULES, secret="hidden")
    assert "hidden" not in repr(told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--oidc-client", "page"], "without --oidc-issuer"),
        (["--page-url", "https://x.example"], "without --oidc-issuer"),
        (["--oidc-issuer", "https://i.example"], "without --oidc-client"),
        (["--oidc-issuer", "https://i.example", "--oidc-client", "c"], "without --oidc-roles"),
    ],
)
def test_half_of_the_options_is_an_error(words: list[str], told: str) -> None:
    found = CliRunner().invoke(main, ["serve", "nowhere", *words])
    assert found.exit_code == 1
    assert told in found.stderr
    assert "oidc-secret " not in json.dumps(CliRunner().invoke(main, ["serve", "--help"]).stdout)
