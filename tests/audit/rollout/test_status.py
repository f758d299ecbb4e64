"""Quality and cost of both models come from what servers counted and what reviewers said."""

import pytest
from tests.audit.rollout.facts import begun, ref

from sparsepath.audit.database import Database
from sparsepath.audit.log import append
from sparsepath.audit.record import Draft
from sparsepath.audit.rollout.state import promote
from sparsepath.audit.rollout.status import status
from sparsepath.audit.rollout.tally import ShadowAnswer, Tally, save


def decision(database: Database, model: str, label: str) -> int:
    facts = {"name": model, "sha256": ref(model).sha256, "precision": "fp32"}
    (receipt,) = append(database, [Draft(kind="decision", body={"model": facts, "label": label})])
    return receipt.seq


def verdict(database: Database, seq: object, label: object) -> None:
    append(database, [Draft(kind="review.verdict", body={"decision": seq, "label": label})])  # type: ignore[arg-type]


def test_without_a_rollout_there_is_no_status(database: Database) -> None:
    assert status(database) is None


def test_reviewed_pairs_of_the_shadow_stage(database: Database) -> None:
    before = decision(database, "a", "left")
    begun(database, gates={"accuracy": {"limit": 0.01, "least": 2}}, price_per_cpu_hour=36.0)
    found = status(database)
    assert found is not None
    assert found.stages == {}
    assert found.gates[0].verdict == "waiting"
    said = [("left", "left"), ("left", "right"), ("right", "left")]
    seqs = [decision(database, "a", old) for old, _ in said]
    answers = [ShadowAnswer(seq, *both, 0.9, 0.1) for seq, both in zip(seqs, said, strict=True)]
    tally = Tally(compared=3, agreed=1)
    tally.new.texts, tally.new.cpu_s = 3, 100.0
    save(database, 1, "shadow", "s1", tally, answers[:2])
    save(database, 1, "shadow", "s1", tally, answers[2:])
    save(database, 1, "shadow", "s2", Tally(compared=1, agreed=1))
    for seq in (seqs[0], seqs[1], before, seqs[2]):
        verdict(database, seq, "left")
    verdict(database, seqs[2], 5)
    verdict(database, seqs[2], "right")  # the newest one counts
    found = status(database)
    assert found is not None
    shadow = found.stages["shadow"]
    assert shadow.agreement is not None
    assert (shadow.agreement.n, shadow.agreement.value) == (4, 0.5)
    assert shadow.accuracy_loss is not None
    # Right: the old one in all three, the new one in the first.
    assert (shadow.accuracy_loss.n, shadow.accuracy_loss.value) == (3, pytest.approx(2 / 3))
    assert shadow.new.money == pytest.approx(1.0)
    assert shadow.new.money_per_1000_texts == pytest.approx(1000 / 3)
    assert shadow.new.joules is None
    assert len(found.servers) == 2
    assert all(server.is_live for server in found.servers)


def test_reviewed_decisions_of_the_canary_stage(database: Database) -> None:
    begun(database)
    promote(database, by="tests")
    save(database, 1, "canary", "s1", Tally())
    for model, label in [("a", "left"), ("a", "left"), ("b", "left"), ("b", "right"), ("c", "x")]:
        verdict(database, decision(database, model, label), "left")
    found = status(database)
    assert found is not None
    loss = found.stages["canary"].accuracy_loss
    assert loss is not None
    assert (loss.n, loss.value) == (2, 0.5)
