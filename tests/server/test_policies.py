"""A preset is used as far as an approved policy allows, by persons whom keys tell apart."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.server.served import Client, Reply, make_service, running
from tests.server.small_lm import content, make_lm

from sparsepath.audit import policies as audit_policies
from sparsepath.audit.clock import in_days
from sparsepath.audit.database import Database, open_database
from sparsepath.audit.export import exported_lines
from sparsepath.audit.keys import add_key
from sparsepath.audit.policy_model import catalogue_sha256
from sparsepath.audit.verify import verify
from sparsepath.errors import ConfigError
from sparsepath.server import gate

KEYS = {"alice": "operator", "bob": "reviewer", "carol": "admin", "vera": "viewer"}


class Office(NamedTuple):
    """A server with keys for several persons."""

    client: Client
    database: Database
    secrets: dict[str, str]

    def ask(self, person: str, method: str, path: str, body: object = None) -> Reply:
        headers = {"Authorization": f"Bearer {self.secrets[person]}"}
        return self.client.ask(method, path, body, headers)

    def write(self, person: str = "vera", preset: str | None = "calm", **more: Any) -> Reply:
        asked = {"model": "small", "prompt": "one", "max_tokens": 2}
        extension = {"preset": preset, "use": "draft-reply"} | more
        return self.ask(person, "POST", "/v1/completions", asked | {"sparsepath": extension})

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in exported_lines(self.database)]


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_lm(tmp_path_factory.mktemp("lm") / "small", seed=0)


@pytest.fixture
def office(lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setattr(gate, "REMEMBERED_S", 0.0)
    with open_database(str(tmp_path / "log.db")) as database:
        secrets = {
            name: add_key(database, name, role, by="tests").secret  # type: ignore[arg-type]
            for name, role in KEYS.items()
        }
        with running(make_service(lm, database, needs_keys=True)) as client:
            yield Office(client, database, secrets)


def test_from_proposal_to_revocation_over_http(office: Office, lm: Path) -> None:
    assert office.write().status == 200  # no policy is needed yet
    assert office.ask("vera", "GET", "/api/v1/policies").json == {
        "policies": [],
        "is_needed": False,
    }
    made = office.ask("alice", "POST", "/api/v1/policies", content(lm))
    assert (made.status, made.json["state"], made.json["author"]) == (201, "proposed", "alice")
    reply = office.write()
    assert (reply.status, reply.json["error"]["code"]) == (403, "policy.not-approved")
    place = "/api/v1/policies/drafts/1"
    own = office.ask("alice", "POST", f"{place}/approve", {})
    assert (own.status, "alice wrote" in own.json["error"]["message"]) == (422, True)
    other = office.ask("bob", "POST", f"{place}/approve", {"sha256": "0" * 64})
    assert (other.status, other.json["error"]["code"]) == (422, "other_policy")
    seen = {"sha256": made.json["sha256"]}
    done = office.ask("bob", "POST", f"{place}/approve", seen)
    assert (done.status, done.json["state"], done.json["approver"]) == (200, "approved", "bob")
    told = office.write().json["sparsepath"]
    permit = {"name": "drafts", "version": 1, "sha256": done.json["sha256"], "use": "draft-reply"}
    assert told["policy"] == permit
    begun = next(line for line in office.told() if line["seq"] == told["record"]["seq"] - 1)
    assert begun["body"]["policy"] == permit
    assert office.write(preset=None).json["sparsepath"]["policy"] is None
    for asked, rule in (({"preset": "wild"}, "not-listed"), ({"use": None}, "use")):
        assert office.write(**asked).json["error"]["code"] == f"policy.{rule}"
    refusal = office.told()[-1]
    assert (refusal["kind"], refusal["body"]["rule"]) == ("policy.refuse", "use")
    assert refusal["body"]["by"].startswith("key:")
    ended = office.ask("carol", "POST", f"{place}/revoke", {"reason": "tone"})
    assert (ended.json["state"], ended.json["ended_by"]) == ("revoked", "carol")
    assert "the rule revoked of policy drafts" in office.write().json["error"]["message"]
    assert office.ask("vera", "GET", "/api/v1/policies").json["is_needed"] is True
    assert office.ask("vera", "GET", place).json == ended.json
    assert verify(office.database).faults == []


def test_a_policy_is_written_from_what_is_served_and_read_back_from_its_file(
    office: Office, lm: Path
) -> None:
    start = office.ask("alice", "GET", "/api/v1/policies/draft").json
    assert (start["model"], start["versions"]) == ("small", {})
    calm, wild = start["presets"]
    assert (calm["name"], calm["edits"], wild["name"]) == ("calm", "L01/3=4", "wild")
    asked = content(lm, expires=start["expires"], model_sha256=start["model_sha256"])
    asked["presets"] = [{"name": "calm", "sha256": calm["sha256"]}]
    made = office.ask("alice", "POST", "/api/v1/policies", asked)
    assert (made.status, made.json["is_yours"]) == (201, True)
    place = "/api/v1/policies/drafts/1"
    assert office.ask("bob", "GET", place).json["is_yours"] is False
    assert office.ask("alice", "GET", "/api/v1/policies/draft").json["versions"] == {"drafts": 1}
    office.ask("bob", "POST", f"{place}/approve", {})
    file = office.ask("vera", "GET", f"{place}/file")
    assert 'filename="drafts-1.toml"' in file.headers["content-disposition"]
    told = office.ask("alice", "POST", "/api/v1/policies/read", {"toml": file.text}).json
    assert told["sha256"] == made.json["sha256"]
    assert told["policy"]["approval"]["approver"] == "bob"
    assert len(office.ask("vera", "GET", "/api/v1/policies").json["policies"]) == 1


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("schema = ", "is no TOML"),
        ("schema = 2", "schema"),
        ("schema = 1\nmost = 3", "name: Field required"),
        ("a = " + "[" * 3000, "is no TOML"),
        ("\ud800", "unicode"),
        ("schema = 1\nname = '\0'", "is no TOML"),
        ("schema = 1\nname = '<img src=x>'", "name"),
    ],
)
def test_a_bad_file_is_refused_with_what_helps(office: Office, toml: str, told: str) -> None:
    reply = office.ask("alice", "POST", "/api/v1/policies/read", {"toml": toml})
    assert reply.status == 422
    assert told in reply.json["error"]["message"]
    assert reply.json["error"]["fix"]


def test_a_second_key_of_the_same_name_is_the_same_person(office: Office, lm: Path) -> None:
    again = add_key(office.database, "Alice", "admin", by="tests").secret
    office.secrets["alice again"] = again
    assert office.ask("alice", "POST", "/api/v1/policies", content(lm)).status == 201
    path = "/api/v1/policies/drafts/1/approve"
    assert office.ask("alice again", "POST", path, {}).status == 422


def test_the_role_that_a_policy_names_is_needed(office: Office, lm: Path) -> None:
    office.ask("alice", "POST", "/api/v1/policies", content(lm, role="operator"))
    office.ask("bob", "POST", "/api/v1/policies/drafts/1/approve", {})
    assert office.write("bob").json["error"]["code"] == "policy.role"
    assert office.write("carol").status == 200


def test_a_policy_over_other_weights_of_the_same_name_refuses(
    office: Office, lm: Path, tmp_path: Path
) -> None:
    office.ask("alice", "POST", "/api/v1/policies", content(lm))
    office.ask("bob", "POST", "/api/v1/policies/drafts/1/approve", {})
    assert office.write().status == 200
    retrained = make_lm(tmp_path / "small", seed=1)
    with running(make_service(retrained, office.database, needs_keys=True)) as client:
        reply = office._replace(client=client).write()
    assert reply.json["error"]["code"] == "policy.model-changed"


def test_a_model_that_was_trained_anew_under_another_name_does_not_escape(
    office: Office, lm: Path, tmp_path: Path
) -> None:
    other = make_lm(tmp_path / "retrained", seed=1)

    def written(preset: str | None = "calm", **options: Any) -> Reply:
        service = make_service(other, office.database, needs_keys=True, **options)
        with running(service) as client:
            body = {"model": "retrained", "prompt": "one", "max_tokens": 2}
            extension = {"preset": preset, "use": "draft-reply"}
            asked = body | {"sparsepath": extension if preset else {}}
            listed = office._replace(client=client).ask("vera", "GET", "/api/v1/policies").json
            reply = office._replace(client=client).ask("vera", "POST", "/v1/completions", asked)
            assert listed["is_needed"] is (preset is not None and reply.status == 403)
            return reply

    # Who uses no policies, or has only put one forward, notices nothing.
    assert written().status == 200
    office.ask("alice", "POST", "/api/v1/policies", content(lm))
    assert written().status == 200
    office.ask("bob", "POST", "/api/v1/policies/drafts/1/approve", {})
    refused = written().json["error"]
    assert refused["code"] == "policy.no-policy"
    assert "--policy-free retrained" in refused["fix"]
    # What was approved has ended: that frees nothing.
    office.ask("bob", "POST", "/api/v1/policies/drafts/1/revoke", {"reason": "over"})
    assert written().status == 403
    assert written(policy_free="retrained").status == 200
    starts = [line["body"] for line in office.told() if line["kind"] == "server.start"]
    assert [start["policy_free"] for start in starts][-2:] == [None, "retrained"]
    with pytest.raises(ConfigError, match="retrained is served"):
        make_service(other, office.database, policy_free="small")
    with pytest.raises(ConfigError, match="contradict"):
        make_service(other, office.database, policy_free="retrained", needs_policy=True)


def test_a_model_that_needs_no_policy_is_still_bound_by_one_over_it(
    office: Office, lm: Path
) -> None:
    office.ask("alice", "POST", "/api/v1/policies", content(lm))
    with running(make_service(lm, office.database, needs_keys=True, policy_free="small")) as client:
        reply = office._replace(client=client).write()
    assert reply.json["error"]["code"] == "policy.not-approved"


def test_a_catalogue_that_says_something_else_voids_a_policy(office: Office, lm: Path) -> None:
    file = lm / "concepts.sqlite"
    try:
        with closing(sqlite3.connect(file)) as made:
            made.executescript(
                "CREATE TABLE facts (content TEXT); INSERT INTO facts VALUES ('{}');"
                "CREATE TABLE neuron (layer, site, number, side, label, endpoint_label, own_label);"
                "INSERT INTO neuron VALUES (0, 'block_out', 1, '', 'money', NULL, NULL);"
            )
            rests_on = content(lm, catalogue_sha256=catalogue_sha256(lm))
            assert office.ask("alice", "POST", "/api/v1/policies", rests_on).status == 201
            office.ask("bob", "POST", "/api/v1/policies/drafts/1/approve", {})
            assert office.write().status == 200
            made.execute("UPDATE neuron SET own_label = 'the word refund' WHERE number = 1")
            made.commit()
        assert office.write().json["error"]["code"] == "policy.catalogue-changed"
        file.write_bytes(b"damaged")
        assert office.write().status == 503
    finally:
        file.unlink()


def test_what_expired_is_recorded_and_stays_so(
    office: Office, lm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.ask("alice", "POST", "/api/v1/policies", content(lm))
    office.ask("bob", "POST", "/api/v1/policies/drafts/1/approve", {})
    assert office.write().status == 200
    later = in_days(2.0)
    for module in (gate, audit_policies):
        monkeypatch.setattr(module, "now", lambda: later)
    assert office.write().json["error"]["code"] == "policy.expired"
    monkeypatch.undo()
    monkeypatch.setattr(gate, "REMEMBERED_S", 0.0)
    assert office.write().json["error"]["code"] == "policy.expired"
    assert [line["kind"] for line in office.told()].count("policy.expire") == 1


BAD: list[tuple[dict[str, Any], str]] = [
    ({"most": 3}, "most"),
    ({"schema": 2}, "schema"),
    ({"expires": "2020-01-01"}, "which is over"),
    ({"expires": "0001-01-01T00:00:00+23:00"}, "the year 1"),
    ({"presets": [{"name": "calmer", "sha256": "a" * 64}]}, "which the model lacks"),
    ({"neurons": [{"neuron": "L01/3", "set": [5, 9]}]}, "contradicts itself"),
    ({"neurons": [{"neuron": "five", "suppress": True}]}, "names no neuron"),
    ({"neurons": [{"neuron": "L01/4", "set": [2, 1]}]}, "is empty"),
    ({"version": 5}, "cannot be proposed"),
    ({"owner": "\ud800"}, "owner"),
]


def test_a_bad_policy_is_refused(office: Office, lm: Path) -> None:
    for changes, told in BAD:
        reply = office.ask("alice", "POST", "/api/v1/policies", content(lm, **changes))
        assert reply.status == 422, (changes, reply)
        assert told in reply.json["error"]["message"], reply.text
    assert office.ask("vera", "GET", "/api/v1/policies").json["policies"] == []


def test_what_is_not_there_is_404(office: Office) -> None:
    assert office.ask("vera", "GET", "/api/v1/policies/drafts/1").status == 404
    assert office.ask("bob", "POST", "/api/v1/policies/drafts/1/approve", {}).status == 404
    revoked = office.ask("bob", "POST", "/api/v1/policies/drafts/1/revoke", {"reason": "x"})
    assert revoked.status == 404


def test_a_server_that_needs_policies_refuses_without_any(
    lm: Path, tmp_path: Path, model_folder: Path
) -> None:
    asked = {"model": "small", "prompt": "one", "sparsepath": {"preset": "calm", "use": "a"}}
    with open_database(str(tmp_path / "log.db")) as database:
        with running(make_service(lm, database, needs_policy=True)) as client:
            reply = client.ask("POST", "/v1/completions", asked)
            assert (reply.status, reply.json["error"]["code"]) == (403, "policy.no-policy")
            streamed = client.ask("POST", "/v1/completions", asked | {"stream": True})
            assert streamed.status == 403
            # Whoever needs no key is one person, who cannot approve what they proposed.
            assert client.ask("POST", "/api/v1/policies", content(lm)).status == 201
            assert client.ask("POST", "/api/v1/policies/drafts/1/approve", {}).status == 422
        with pytest.raises(ConfigError, match="--needs-policy"):
            make_service(model_folder, database, needs_policy=True)
        with pytest.raises(ConfigError, match="--policy-free"):
            make_service(model_folder, database, policy_free="tiny")


def test_a_revocation_is_noticed_within_two_seconds(
    office: Office, lm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.ask("alice", "POST", "/api/v1/policies", content(lm))
    office.ask("bob", "POST", "/api/v1/policies/drafts/1/approve", {})
    monkeypatch.setattr(gate, "REMEMBERED_S", 2.0)
    clock = [1000.0]
    monkeypatch.setattr(gate, "monotonic", lambda: clock[0])
    assert office.write().status == 200
    office.ask("bob", "POST", "/api/v1/policies/drafts/1/revoke", {"reason": "tone"})
    clock[0] += 1.9
    assert office.write().status == 200
    clock[0] += 0.1
    assert office.write().status == 403
