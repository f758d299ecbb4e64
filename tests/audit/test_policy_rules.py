"""Each rule refuses what it is for, by its name, and nothing else."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.audit.written_policy import asked, edit, policy, preset

from sparsepath.audit.clock import in_days
from sparsepath.audit.policy import Standing
from sparsepath.audit.policy_model import catalogue_sha256
from sparsepath.audit.policy_rules import Asked, Rule, permit
from sparsepath.errors import PolicyError


def standing(**changes: Any) -> Standing:
    one = policy(**changes.pop("policy", {}))
    plain = Standing(one, one.sha256, "Alice", in_days(-2.0), "bob", in_days(-1.0))
    return plain._replace(**changes)


FIVE = edit("L00/5", "set", 4.0)
CASES: dict[Rule, tuple[Callable[[], list[Standing]], Callable[[], Asked]]] = {
    "no-policy": (list, asked),
    "not-listed": (lambda: [standing()], lambda: asked(edits=(FIVE, edit("L00/7")))),
    "not-approved": (lambda: [standing(approved=None, approver=None)], asked),
    "revoked": (lambda: [standing(end="revoked")], asked),
    "superseded": (lambda: [standing(end="superseded")], asked),
    "expired": (lambda: [standing()], lambda: asked(moment=in_days(30.01))),
    "clock": (lambda: [standing()], lambda: asked(moment=in_days(-1.01))),
    "model-changed": (lambda: [standing()], lambda: asked(model_sha256="b" * 64)),
    "catalogue-changed": (lambda: [standing()], lambda: asked(catalogue_sha256=None)),
    "preset-changed": (lambda: [standing()], lambda: asked(preset=preset("calm", FIVE))),
    "strength": (lambda: [standing()], lambda: asked(edits=(edit("L00/5", "set", 4.01),))),
    "use": (lambda: [standing()], lambda: asked(use=None)),
    "role": (lambda: [standing()], lambda: asked(role="viewer")),
}


def test_every_rule_has_a_case() -> None:
    assert list(CASES) == list(get_args(Rule))


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_refuses_by_its_name(rule: Rule) -> None:
    standings, request = CASES[rule]
    with pytest.raises(PolicyError, match=f"the rule {rule} ") as caught:
        permit(standings(), request())
    assert caught.value.rule == rule
    assert caught.value.hint


@pytest.mark.parametrize(
    "edits",
    [(), (FIVE,), (edit("L00/5", "scale", 2.0),), (edit("L00/6", "suppress", 0.0),), (FIVE,) * 3],
)
def test_what_is_within_every_rule_is_allowed(edits: tuple[Any, ...]) -> None:
    own = standing()
    found = permit([own], asked(edits=edits, role="admin"))
    assert found == ("drafts", 1, own.policy.sha256, "draft-reply")


@pytest.mark.parametrize(
    "bad", [edit("L00/5", "scale", -0.1), edit("L00/5", "add", 0.0), edit("L00/6", "set", 0.0)]
)
def test_each_operation_has_its_own_limit(bad: Any) -> None:
    with pytest.raises(PolicyError, match="beyond its limits"):
        permit([standing()], asked(preset=None, edits=(bad,)))


def test_clocks_of_two_machines_may_differ_a_little() -> None:
    ahead = standing(approved=in_days(0.003))
    assert permit([ahead], asked()).version == 1


def test_one_policy_that_allows_it_is_enough_and_else_the_closest_one_answers() -> None:
    other = standing(policy={"name": "other", "uses": ["summary"]})
    revoked = standing(end="revoked")
    assert permit([revoked, other, standing()], asked()).name == "drafts"
    with pytest.raises(PolicyError, match="policy other") as caught:
        permit([revoked, other, revoked], asked())
    assert caught.value.rule == "use"


def test_the_catalogues_hash_changes_with_its_labels_not_with_notes(tmp_path: Path) -> None:
    assert catalogue_sha256(tmp_path) is None
    with sqlite3.connect(tmp_path / "concepts.sqlite") as made:
        made.executescript(
            "CREATE TABLE facts (content TEXT); INSERT INTO facts VALUES ('{}');"
            "CREATE TABLE neuron (layer, site, number, side, label, endpoint_label, own_label);"
            "INSERT INTO neuron VALUES (0, 'block_out', 1, '', 'money', NULL, NULL);"
            "CREATE TABLE note (neuron, note)"
        )
    first = catalogue_sha256(tmp_path)
    assert first is not None
    for change, is_same in (
        ("INSERT INTO note VALUES (1, 'nice')", True),
        ("UPDATE neuron SET own_label = 'refund'", False),
    ):
        made.execute(change)
        made.commit()
        assert (catalogue_sha256(tmp_path) == first) == is_same
    made.close()
