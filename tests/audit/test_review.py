"""Decisions wait until a person gives a verdict; every verdict stays, the last one counts."""

import pytest
from sqlalchemy import text
from tests.audit.written_policy import ALICE, BOB

from sparsepath.audit import review as module
from sparsepath.audit.database import Database
from sparsepath.audit.log import append, forget
from sparsepath.audit.record import Draft
from sparsepath.audit.review import Labels, decide, look, n_waiting, waiting
from sparsepath.audit.verify import verify
from sparsepath.errors import ConfigError


def decision(number: int, *, waits: bool = True) -> Draft:
    review = {"below": 0.8, "labels": ["card", "refund"]} if waits else None
    body = {"model": {"name": "m"}, "label": "card", "probability": 0.6, "review": review}
    return Draft(kind="decision", body=body, texts={"input": f"text {number}"}, waits=waits)


def put(database: Database, *, keep_texts: bool = False) -> None:
    """Write six decisions, of which those with even numbers do not wait."""
    drafts = [decision(number, waits=number % 2 == 1) for number in range(1, 7)]
    append(database, drafts, keep_texts=keep_texts)


def test_a_decision_waits_until_its_first_verdict_and_the_last_one_counts(
    database: Database,
) -> None:
    put(database)
    assert [case.seq for case in waiting(database)] == [1, 3, 5]
    assert [case.seq for case in waiting(database, after=1, limit=1)] == [3]
    decide(database, 3, "refund", BOB)
    second = decide(database, 3, "card", ALICE)
    assert ([case.seq for case in waiting(database)], n_waiting(database)) == ([1, 5], 2)
    found = look(database, 3)
    assert (found.text, found.case.labels) == ("text 3", ("card", "refund"))
    assert [(v.label, v.by, v.person) for v in found.verdicts] == [
        ("refund", *BOB), ("card", *ALICE),
    ]  # fmt: skip
    assert found.verdicts[-1].seq == second.seq
    assert [*Labels(database)] == [("text 3", "card")]
    for seq in (2, 8, 99):
        with pytest.raises(ConfigError, match="is no decision"):
            decide(database, seq, "card", BOB)
    with pytest.raises(ConfigError, match="choose one of: card, refund"):
        decide(database, 1, "cards", BOB)
    assert verify(database).faults == []


def test_texts_are_kept_for_those_that_wait_and_forgotten_ones_are_counted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    put(database)
    assert verify(database).texts == 3  # those that do not wait left no text
    forget(database, seq=3, by="user:me")
    assert look(database, 3).text is None
    for seq, label in ((5, "refund"), (3, "card"), (1, None)):
        decide(database, seq, label, BOB)
    labels = Labels(database)
    assert [*labels] == [("text 5", "refund")]
    assert labels.export == (1, 1, 1)
    forget(database, before="9999-01-01T00:00:00.000000Z", by="user:me")
    assert [*labels] == []
    assert labels.export == (0, 2, 1)
    assert verify(database).faults == []


def test_a_verdict_that_was_taken_off_the_list_is_found(database: Database) -> None:
    put(database, keep_texts=True)
    decide(database, 1, "refund", BOB)
    last = decide(database, 1, "card", BOB)
    with database.writing() as connection:
        connection.execute(text(f"DELETE FROM review_verdict WHERE seq = {last.seq}"))
    assert [*Labels(database)] == [("text 1", "refund")]
    assert [fault.seq for fault in verify(database).faults] == [last.seq]
