"""Records are found by what they hold, page by page, and nothing else is."""

import json

import pytest

from sparsepath.audit import search as module
from sparsepath.audit.clock import read_time
from sparsepath.audit.database import Database
from sparsepath.audit.log import append
from sparsepath.audit.record import Draft
from sparsepath.audit.search import Query, find_record, search
from sparsepath.errors import ConfigError

LABELS = ["refund", "Refund", 'say "hi"', "100%_", "カード", "nul \0", "refund"]


def fill(database: Database) -> None:
    model = {"name": "light", "sha256": "a" * 64, "precision": "fp32"}
    append(
        database,
        [
            Draft(
                kind="decision",
                body={"label": label, "by": f"key:{i % 2}", "model": model, "request": f"r{i}"},
                texts={"input": '"label":"refund"'},
            )
            for i, label in enumerate(LABELS)
        ],
    )
    append(
        database,
        [
            Draft(kind="key.add", body={"key": "0", "name": "light", "by": "user:me"}),
            Draft(kind="server.start", body={"model": "light", "sha256": "a" * 64}),
        ],
    )


def test_records_are_found_by_policy_and_by_their_hashes(database: Database) -> None:
    fill(database)
    policy = {"name": "drafts", "version": 1}
    body = {"policy": policy, "model": {"name": "tone", "sha256": "b" * 64}}
    append(
        database,
        [
            Draft(kind="policy.approve", body=policy),
            Draft(kind="generation.begin", body=body, texts={"prompt": "one"}),
            Draft(kind="key.add", body={"key": "0", "name": "drafts", "by": "user:me"}),
        ],
    )
    found = search(database, Query(policy="drafts")).records
    assert [record.seq for record in found] == [11, 10]
    assert search(database, Query(policy="tone")).records == []
    text = json.loads(found[0].body)["texts"]["prompt"]
    for hash_, expected in ((text, [11]), (found[1].hash, [10]), ("b" * 64, [])):
        told = search(database, Query(hash=hash_)).records
        assert [record.seq for record in told] == expected


@pytest.mark.parametrize("hash_", ["", "b" * 63, "B" * 64, "\0" * 64, "\ud800", "b" * 64 + "\n"])
def test_what_is_no_hash_is_refused(hash_: str) -> None:
    with pytest.raises(ConfigError, match="is no hash"):
        Query(hash=hash_)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        (Query(label="refund"), [7, 1]),
        (Query(label="Refund"), [2]),
        (Query(label='say "hi"'), [3]),
        (Query(label="100%_"), [4]),
        (Query(label="カード"), [5]),
        (Query(label="nul \0"), [6]),
        (Query(label="%"), []),
        (Query(label='x","by":"key:0'), []),
        (Query(key="0"), [8, 7, 5, 3, 1]),
        (Query(key="0", kinds=("decision",)), [7, 5, 3, 1]),
        (Query(key="1", label="refund"), []),
        (Query(model="light"), [9, 7, 6, 5, 4, 3, 2, 1]),
        (Query(model="a" * 64, kinds=("server.start",)), [9]),
        (Query(request="r3"), [4]),
        (Query(kinds=()), []),
        (Query(until="2020-01-01T00:00:00.000000Z"), []),
        (Query(since="2020-01-01T00:00:00.000000Z", label="Refund"), [2]),
    ],
)
def test_records_are_found_by_their_facts(
    database: Database, query: Query, expected: list[int]
) -> None:
    fill(database)
    assert [record.seq for record in search(database, query).records] == expected


def test_pages_follow_each_other_although_records_come(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKED_AT", 4)
    fill(database)
    query, before, seen = Query(label="refund"), None, []
    for _ in range(9):
        page = search(database, query, before=before, limit=1)
        seen += [record.seq for record in page.records]
        if page.next is None:
            break
        append(database, [Draft(kind="decision", body={"label": "refund"})])
        before = page.next
    assert seen == [7, 1]


def test_a_record_is_read_with_its_texts(database: Database) -> None:
    fill(database)
    whole = find_record(database, 3)
    assert whole is not None
    assert whole.record.seq == 3
    assert [text.role for text in whole.texts] == ["input"]
    assert find_record(database, 10) is None


def test_times_are_read_in_utc_and_impossible_ones_refused() -> None:
    assert read_time("2026-11-21") == "2026-11-21T00:00:00.000000Z"
    assert read_time("2026-11-21T09:30+09:00") == "2026-11-21T00:30:00.000000Z"
    assert read_time("2026-11-21T09:30:00.5Z") == "2026-11-21T09:30:00.500000Z"
    for wrong in ("", "yesterday", "2026-02-30", "0001-01-01T00:00+14:00", "9" * 99):
        with pytest.raises(ConfigError, match="is no time"):
            read_time(wrong)
    with pytest.raises(ConfigError, match="there is no time"):
        Query(since="2026-11-21", until="2026-11-21")


@pytest.mark.parametrize(("before", "limit"), [(None, 0), (None, 501), (0, 5), (2**63, 5)])
def test_a_page_out_of_range_is_refused(database: Database, before: int | None, limit: int) -> None:
    with pytest.raises(ConfigError):
        search(database, Query(), before=before, limit=limit)
