"""The chain is whole however it is written, and `verify` finds everything that was done to it."""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from sparsepath.audit import log
from sparsepath.audit.anchor import read_anchors, write_anchor
from sparsepath.audit.database import Database, open_database
from sparsepath.audit.export import exported_lines
from sparsepath.audit.log import append, forget, head, pages_in, texts_in
from sparsepath.audit.record import Draft, line_hash
from sparsepath.audit.verify import Fault, verify
from sparsepath.errors import ConfigError, RunError

HOSTILE = [
    "plain",
    "",
    "nul \0 inside",
    "lone \ud800 surrogate",
    "カード 💳",
    '"},"hash":"0"',
    "x" * 9000,
]


def drafts(n: int, start: int = 0) -> list[Draft]:
    return [
        Draft(kind="decision", body={"n": i, "share": i / 7}, texts={"input": HOSTILE[i % 7]})
        for i in range(start, start + n)
    ]


def tamper(database: Database, *statements: str) -> None:
    """Change the database as its owner can: the triggers go first."""
    with database.writing() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        for event in ("update", "delete"):
            name = f"record_{event.upper()}" if is_sqlite else f"record_{event} ON record"
            connection.execute(text(f"DROP TRIGGER {name}"))
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a_log_that_nobody_touched_has_no_fault(database: Database) -> None:
    assert verify(database).faults == []
    first = append(database, drafts(3))
    second = append(database, drafts(5, 3))
    found = verify(database)
    assert found.faults == []
    assert (found.records, found.texts) == (8, 8)
    assert [receipt.seq for receipt in first + second] == [*range(1, 9)]
    assert head(database) == second[-1]
    assert found.newest == second[-1].hash


def test_anyone_can_check_an_exported_line_without_sparsepath(database: Database) -> None:
    append(database, drafts(7))
    previous = "0" * 64
    for exported, original in zip(exported_lines(database, with_texts=True), HOSTILE, strict=True):
        line = json.loads(exported)
        claimed, kept = line.pop("hash"), line.pop("kept")["input"]
        assert line["previous"] == previous
        plain = json.dumps(line, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(plain.encode()).hexdigest() == claimed
        assert kept["text"] == original
        salted = bytes.fromhex(kept["salt"]) + json.dumps(original).encode()
        assert hashlib.sha256(salted).hexdigest() == line["body"]["texts"]["input"]
        previous = claimed


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE record SET body = replace(body, '\"n\":3', '\"n\":4') WHERE seq = 4", "altered"),
        ("UPDATE record SET time = '2020-01-01T00:00:00.000000Z' WHERE seq = 4", "altered"),
        ("UPDATE record SET kind = 'key.add' WHERE seq = 4", "altered"),
        ("UPDATE record SET hash = previous WHERE seq = 8", "altered"),
        ("DELETE FROM text WHERE seq = 3; DELETE FROM record WHERE seq = 3", "1 records before it"),
        ("DELETE FROM text WHERE seq < 3; DELETE FROM record WHERE seq < 3", "2 records before it"),
        ("DELETE FROM text WHERE seq > 6; DELETE FROM record WHERE seq > 6", "it ends at 6"),
        ("DELETE FROM text; DELETE FROM record", "it ends at 0"),
        (
            "DELETE FROM text; UPDATE record SET seq = 99 WHERE seq = 3; "
            "UPDATE record SET seq = 3 WHERE seq = 4; UPDATE record SET seq = 4 WHERE seq = 99",
            "altered",
        ),
        (
            "INSERT INTO record SELECT 9, time, kind, body, hash, previous FROM record "
            "WHERE seq = 8",
            "altered",
        ),
        ("UPDATE text SET text = '\"other\"' WHERE seq = 2", "its text 'input'"),
        ("UPDATE text SET salt = '00' WHERE seq = 2", "its text 'input'"),
        ("UPDATE head SET seq = 7", "the log says that it ends here"),
    ],
)
def test_what_was_done_to_the_log_is_found(database: Database, statement: str, told: str) -> None:
    append(database, drafts(8))
    tamper(database, *statement.split("; "))
    faults = verify(database).faults
    assert faults
    assert any(told in fault.what for fault in faults), faults


def test_a_record_that_was_forged_with_its_hash_does_not_fit_the_next(database: Database) -> None:
    append(database, drafts(5))
    with database.reading() as connection:
        ((record,),) = pages_in(connection, first=3, last=3)
    forged = record._replace(body='{"n":99}')
    digest = line_hash(forged.line)
    tamper(database, f"UPDATE record SET body = '{forged.body}', hash = '{digest}' WHERE seq = 3")
    faults = verify(database).faults
    assert Fault(4, "it does not follow the record before it") in faults
    assert not any("altered" in fault.what for fault in faults)


def test_a_log_that_was_cut_off_and_closed_again_is_found_by_an_anchor(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "elsewhere" / "anchors.jsonl"
    write_anchor(database, path)
    kept = append(database, drafts(4))[-1]
    append(database, drafts(4, 4))
    newest = write_anchor(database, path)
    assert write_anchor(database, path) == newest  # nothing new, nothing added
    anchors = read_anchors(path)
    assert [anchor.seq for anchor in anchors] == [0, 8]
    assert verify(database, anchors).anchors == 2
    tamper(
        database,
        "DELETE FROM text WHERE seq > 4",
        "DELETE FROM record WHERE seq > 4",
        f"UPDATE head SET seq = 4, hash = '{kept.hash}'",
    )
    assert verify(database).faults == []
    (fault,) = verify(database, anchors).faults
    assert fault.seq == 8
    assert "an anchor of" in fault.what
    append(database, drafts(6, 50))  # grown past the anchor again, with other records
    (fault,) = verify(database, anchors).faults
    assert "not the record that an anchor" in fault.what


@pytest.mark.parametrize("statement", ["UPDATE record SET kind = 'x'", "DELETE FROM record"])
def test_the_database_itself_refuses_changes(database: Database, statement: str) -> None:
    append(database, drafts(2))
    forget(database, seq=1, by="user:me")
    forget(database, seq=2, by="user:me")
    with pytest.raises(RunError, match="append-only"), database.writing() as connection:
        connection.execute(text(statement))
    assert verify(database).records == 4


def test_texts_can_be_forgotten_and_the_chain_stays_valid(database: Database) -> None:
    append(database, drafts(6))
    assert forget(database, seq=2, by="user:me") == 1
    with database.reading() as connection:
        assert sorted(texts_in(connection, 1, 6)) == [1, 3, 4, 5, 6]
    assert forget(database, before="9999-01-01T00:00:00.000000Z", by="user:me") == 5
    found = verify(database)
    assert found.faults == []
    assert (found.records, found.texts) == (8, 0)
    last = json.loads([*exported_lines(database)][-1])
    assert last["kind"] == "text.forget"
    assert last["body"]["by"] == "user:me"


def test_a_text_that_is_not_kept_leaves_its_salt_only(database: Database) -> None:
    append(database, drafts(1), keep_texts=False)
    with database.reading() as connection:
        ((kept,),) = texts_in(connection, 1, 1).values()
    assert kept.text == ""
    assert len(kept.salt) == 32
    assert verify(database) == verify(database)._replace(texts=0, faults=[])


def test_writers_in_several_threads_and_on_several_connections_make_one_chain(
    place: str, opened: Callable[[str], Database]
) -> None:
    databases = [opened(place), opened(place)]
    with ThreadPoolExecutor(4) as pool:
        receipts = [*pool.map(lambda i: append(databases[i % 2], drafts(3, i)), range(24))]
    assert sorted(r.seq for group in receipts for r in group) == [*range(1, 73)]
    assert verify(databases[0]).faults == []


def test_records_are_written_all_or_none(database: Database) -> None:
    broken = Draft(kind="decision", body={"share": float("nan")})
    with pytest.raises(ValueError, match="JSON compliant"):
        append(database, [*drafts(2), broken])
    assert verify(database) == verify(database)._replace(records=0, faults=[])


def test_a_database_is_opened_again_with_what_it_holds(
    place: str, opened: Callable[[str], Database]
) -> None:
    receipts = append(opened(place), drafts(4))
    assert head(opened(place)) == receipts[-1]


def test_a_database_of_a_newer_version_is_refused(
    place: str, opened: Callable[[str], Database]
) -> None:
    with opened(place).writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RunError, match="another version of sparsepath"):
        open_database(place)


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be looked at\n" * 99)
    with pytest.raises(RunError, match="cannot be opened"):
        open_database(str(tmp_path / "notes.txt"))
    foreign = sqlite3.connect(tmp_path / "foreign.db")
    foreign.execute("CREATE TABLE record (x)")
    foreign.commit()
    foreign.close()
    with pytest.raises(RunError, match="holds no audit log"):
        open_database(str(tmp_path / "foreign.db"))
    with pytest.raises(RunError, match="no database at"):
        open_database(str(tmp_path / "nowhere.db"), must_exist=True)
    with pytest.raises(RunError, match="cannot be written to"):
        open_database(str(tmp_path))


@pytest.mark.parametrize("place", ["mysql://a:secret@b/c", "postgresql://", "no such:kind://x"])
def test_a_place_of_no_known_kind_is_refused_without_its_password(place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_database(place)
    assert "secret" not in str(caught.value)


def test_a_log_of_several_pages_is_read_whole(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(database, drafts(7))
    monkeypatch.setattr(log, "AT_ONCE", 3)
    assert verify(database)[:2] == (7, 7)
    assert len([*exported_lines(database, with_texts=True)]) == 7


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    open_database(str(tmp_path / "log.db")).close()
    assert (tmp_path / "log.db").stat().st_mode & 0o777 == 0o600


def test_a_failed_writing_leaves_no_lock_behind(tmp_path: Path) -> None:
    with open_database(str(tmp_path / "log.db")) as database:
        failures = []
        with database.writing() as connection:
            connection.execute(text("ALTER TABLE head RENAME TO away"))
        for _ in range(3):
            with pytest.raises(RunError) as caught:
                append(database, [Draft(kind="decision", body={})])
            failures.append(caught)  # with its frames, which hold cursors
        with database.writing() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO head"))
        assert append(database, [Draft(kind="decision", body={})])[0].seq == 1
        assert verify(database).faults == []
