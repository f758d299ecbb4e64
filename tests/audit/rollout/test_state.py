"""Stages follow each other, go back in one step, and every change is on record."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.audit.rollout.facts import begun, ref

from sparsepath.audit.database import Database
from sparsepath.audit.export import exported_lines
from sparsepath.audit.rollout.rules import Rules
from sparsepath.audit.rollout.state import (
    Rollout,
    Stage,
    ask,
    current,
    goes_to_new,
    promote,
    roll_back,
    rollouts,
    start,
)
from sparsepath.audit.verify import verify
from sparsepath.errors import ConfigError


def test_every_change_is_a_record_with_who_and_why(database: Database) -> None:
    begun(database, share=0.2)
    promote(database, by="key:1", why="looks good")
    promote(database, by="key:1", share=0.5)
    promote(database, by="gates", why="passed: agreement")
    done = roll_back(database, by="user:x", why="no")
    assert done == current(database)
    assert (done.stage, done.revision, done.share) == ("rolled-back", 5, 0.5)
    bodies = [json.loads(line)["body"] for line in exported_lines(database)]
    got = [(b["revision"], b["stage"], b["share" if i else "id"] if i else 0, b["by"])
           for i, b in enumerate(bodies)]  # fmt: skip
    assert got == [
        (1, "shadow", 0, "tests"),
        (2, "canary", 0.2, "key:1"),
        (3, "canary", 0.5, "key:1"),
        (4, "full", 0.5, "gates"),
        (5, "rolled-back", 0.5, "user:x"),
    ]
    assert bodies[0]["new"]["sha256"] == ref("b").sha256
    assert bodies[4]["why"] == "no"
    assert verify(database).faults == []


@pytest.mark.parametrize("stage", ["shadow", "canary", "full"])
def test_the_way_back_is_one_step_from_any_stage(database: Database, stage: Stage) -> None:
    found = begun(database)
    while found.stage != stage:
        found = promote(database, by="tests")
    assert roll_back(database, by="tests").stage == "rolled-back"
    for change in (promote, roll_back):
        with pytest.raises(ConfigError, match=r"rolled.back"):
            change(database, by="tests")


def test_what_does_not_fit_is_refused(database: Database) -> None:
    with pytest.raises(ConfigError, match="there is no rollout"):
        promote(database, by="tests")
    with pytest.raises(ConfigError, match="answers already"):
        start(database, ref("a"), ref("a"), Rules(), by="tests")
    with pytest.raises(ConfigError, match="other labels"):
        start(database, ref("a"), ref("b", labels=["left"]), Rules(), by="tests")
    begun(database)
    with pytest.raises(ConfigError, match=r"goes on \(shadow\)"):
        begun(database)
    with pytest.raises(ConfigError, match="share 2"):
        promote(database, by="tests", share=2.0)
    promote(database, by="tests")
    promote(database, by="tests")
    with pytest.raises(ConfigError, match="no next stage"):
        promote(database, by="tests")
    with pytest.raises(ConfigError, match=r"b .fp32. answers now, not a"):
        start(database, ref("a"), ref("c"), Rules(), by="tests")
    assert start(database, ref("b"), ref("c"), Rules(), by="tests").id == 2
    assert [one.stage for one in rollouts(database)] == ["full", "shadow"]


def test_of_many_who_decide_the_same_only_one_does_it(database: Database) -> None:
    begun(database)

    def attempt(_: int) -> Rollout | None:
        try:
            return promote(database, by="gates", revision=1)
        except ConfigError:
            return None

    with ThreadPoolExecutor(8) as pool:
        done = [one for one in pool.map(attempt, range(8)) if one is not None]
    assert [one.stage for one in done] == ["canary"]


def test_what_gates_ask_is_kept_until_somebody_acts(database: Database) -> None:
    begun(database)
    asked = ask(database, "promote", revision=1, why="passed: errors").asked
    assert asked is not None
    assert (asked.action, asked.why) == ("promote", "passed: errors")
    with pytest.raises(ConfigError, match="changed meanwhile"):
        ask(database, None, revision=1, why="")
    assert promote(database, by="tests").asked is None


def test_a_request_goes_the_same_way_everywhere_and_a_larger_share_keeps_it() -> None:
    texts = [[f"text {i}", "\ud800"] for i in range(4000)]
    small = [goes_to_new(7, 0.1, one) for one in texts]
    large = [goes_to_new(7, 0.3, one) for one in texts]
    assert abs(sum(small) - 400) < 4 * (4000 * 0.1 * 0.9) ** 0.5
    assert all(after for before, after in zip(small, large, strict=True) if before)
    assert goes_to_new(7, 1.0, ["x"])
    assert small != [goes_to_new(8, 0.1, one) for one in texts]
