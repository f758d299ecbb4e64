"""Proposed by one, approved by another, over when it ends: each step on record, in any database."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from tests.audit.written_policy import ALICE, BOB, CALM, asked, edit, policy, preset

from sparsepath.audit import policies as module
from sparsepath.audit.actor import Actor
from sparsepath.audit.clock import in_days
from sparsepath.audit.database import Database
from sparsepath.audit.export import exported_lines
from sparsepath.audit.log import append
from sparsepath.audit.policies import (
    approve,
    expire,
    find_policy,
    list_policies,
    propose,
    revoke,
)
from sparsepath.audit.policy import Policy, Standing
from sparsepath.audit.policy_rules import permit
from sparsepath.audit.record import Draft
from sparsepath.audit.verify import verify
from sparsepath.errors import ConfigError, PolicyError

LATER_TABLES = (
    "login",
    "policy_change", "review_verdict", "review_waiting", "rollout_tally", "shadow_answer",
    "rollout", "drift", "key_usage", "job",
)  # fmt: skip
"""What databases of the first version do not have."""


def put(database: Database, one: Policy | None = None, who: Actor = ALICE) -> Standing:
    return propose(database, one or policy(), [CALM], asked(), who)


def states(database: Database, moment: str | None = None) -> list[str]:
    when = moment or asked().moment
    return [standing.state(when) for standing in list_policies(database)]


def test_a_policy_goes_from_author_to_approver_and_each_step_is_on_record(
    database: Database,
) -> None:
    first = put(database)
    assert (first.author, first.approver, states(database)) == ("Alice", None, ["proposed"])
    found = approve(database, "drafts", 1, BOB)
    assert (found.author, found.approver, states(database)) == ("Alice", "bob", ["approved"])
    assert found.signed.approval is not None
    assert found.signed.approval.sha256 == policy(expires=found.policy.expires).sha256
    assert permit(list_policies(database), asked()).version == 1
    revoke(database, "drafts", 1, ALICE, reason="complaints")
    assert states(database) == ["revoked"]
    with pytest.raises(PolicyError, match="complaints") as caught:
        permit(list_policies(database), asked())
    assert caught.value.rule == "revoked"
    lines = [json.loads(line) for line in exported_lines(database)]
    told = [(line["kind"], line["body"]["by"], line["body"]["person"]) for line in lines]
    assert told == [
        ("policy.propose", *ALICE), ("policy.approve", *BOB), ("policy.revoke", *ALICE),
    ]  # fmt: skip
    assert lines[0]["body"]["policy"]["neurons"][0]["set"] == [-4, 4]
    assert verify(database).faults == []


def test_an_author_never_approves(database: Database) -> None:
    put(database)
    for person in ("Alice", " ALICE", "\uff21lice"):
        with pytest.raises(ConfigError, match="cannot approve"):
            approve(database, "drafts", 1, Actor("key:ffffffffffffffff", person))
    assert states(database) == ["proposed"]


def test_what_is_over_cannot_be_approved(database: Database) -> None:
    put(database)
    revoke(database, "drafts", 1, BOB, reason="no")
    with pytest.raises(ConfigError, match="is revoked"):
        approve(database, "drafts", 1, BOB)
    assert revoke(database, "drafts", 1, ALICE, reason="again").reason == "no"
    put(database, policy(version=2))
    approve(database, "drafts", 2, BOB)
    with pytest.raises(ConfigError, match="is approved"):
        approve(database, "drafts", 2, BOB)
    for name, version in (("drafts", 3), ("other", 1)):
        with pytest.raises(ConfigError, match="there is no policy"):
            approve(database, name, version, BOB)
    with pytest.raises(ConfigError, match="a reason of"):
        revoke(database, "drafts", 2, BOB, reason=" ")


def test_a_new_version_takes_the_place_of_the_old_one_for_good(database: Database) -> None:
    put(database)
    approve(database, "drafts", 1, BOB)
    put(database, policy(version=2, uses=["summary"]), BOB)
    assert states(database) == ["approved", "proposed"]
    assert permit(list_policies(database), asked()).version == 1
    approve(database, "drafts", 2, ALICE)
    assert states(database) == ["superseded", "approved"]
    with pytest.raises(PolicyError, match="version 2"):
        permit(list_policies(database), asked())
    revoke(database, "drafts", 2, ALICE, reason="wrong")
    assert states(database) == ["superseded", "revoked"]
    assert find_policy(list_policies(database), "drafts").policy.version == 2


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"version": 2}, "write version = 1"),
    ({"expires": "2020-01-01"}, "which is over"),
    ({"model_sha256": "b" * 64}, "model-changed"),
    ({"catalogue_sha256": "b" * 64}, "catalogue-changed"),
    ({"presets": [{"name": "calmer", "sha256": "b" * 64}]}, "which the model lacks"),
    ({"presets": [{"name": "calm", "sha256": "b" * 64}]}, "write its hash"),
    ({"neurons": [{"neuron": "L01/3", "set": [0, 7]}]}, "contradicts itself"),
    ({"neurons": [{"neuron": "L01/3", "suppress": True}]}, "contradicts itself"),
]


def test_what_does_not_fit_the_model_is_not_proposed(database: Database) -> None:
    for changes, told in UNFIT:
        with pytest.raises(ConfigError) as caught:
            put(database, policy(**changes))
        assert told in str(caught.value)
    signed = Standing(policy(), policy().sha256, "a", in_days(-2.0), "b", in_days(-1.0)).signed
    with pytest.raises(ConfigError, match="has an approval"):
        put(database, signed)
    assert list_policies(database) == []


def test_a_policy_that_ended_stays_so_when_the_clock_jumps_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(database)
    approve(database, "drafts", 1, BOB)
    assert expire(database, by="server") == 0
    monkeypatch.setattr(module, "now", lambda: in_days(31.0))
    assert expire(database, by="server") == 1
    assert expire(database, by="server") == 0
    monkeypatch.undo()
    assert states(database) == ["expired"]
    with pytest.raises(PolicyError) as caught:
        permit(list_policies(database), asked())
    assert caught.value.rule == "expired"
    assert verify(database).faults == []


def test_a_database_of_the_version_before_gets_what_policies_and_review_need(
    place: str, opened: Callable[[str], Database]
) -> None:
    before = opened(place)
    append(before, [Draft(kind="decision", body={})])
    with before.writing() as connection:
        connection.execute(text("DROP INDEX record_verdict"))
        for table in LATER_TABLES:
            connection.execute(text(f"DROP TABLE {table}"))
        for column in ("per_minute", "per_day"):
            connection.execute(text(f"ALTER TABLE api_key DROP COLUMN {column}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    database = opened(place)
    put(database)
    assert states(database) == ["proposed"]
    assert verify(database).records == 2


def test_two_at_once_propose_one_version(place: str, opened: Callable[[str], Database]) -> None:
    databases = [opened(place), opened(place)]

    def proposed(number: int) -> bool:
        try:
            put(databases[number % 2], policy(owner=f"owner {number}"))
        except ConfigError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(proposed, range(8))) == 1
    assert len(list_policies(databases[0])) == 1
    assert verify(databases[1]).faults == []


def test_a_revocation_that_was_taken_off_the_list_is_found(database: Database) -> None:
    put(database)
    approve(database, "drafts", 1, BOB)
    revoke(database, "drafts", 1, ALICE, reason="no")
    append(database, [Draft(kind="decision", body={})])
    with database.writing() as connection:
        connection.execute(text("DELETE FROM policy_change WHERE seq = 3"))
    assert states(database) == ["approved"]
    assert [fault.seq for fault in verify(database).faults] == [3]
    with database.writing() as connection:
        connection.execute(text("INSERT INTO policy_change VALUES (3), (4)"))
    assert [fault.seq for fault in verify(database).faults] == [4]


def test_a_preset_beyond_the_policy_is_known_by_its_content(database: Database) -> None:
    put(database)
    approve(database, "drafts", 1, BOB)
    standings = list_policies(database)
    within = preset("other", edit("L00/5", "set", 4.0), edit("L00/6", "suppress", 0.0))
    assert permit(standings, asked(preset=within)).name == "drafts"
    stronger = preset("calm", edit(value=9.0))
    with pytest.raises(PolicyError) as caught:
        permit(standings, asked(preset=stronger))
    assert caught.value.rule == "preset-changed"
