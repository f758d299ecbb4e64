"""Writing and reading the chain.

Read with: `record.py` (what is hashed), `verify.py` (what is found).
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, update

from sparsepath.audit.clock import now
from sparsepath.audit.database import Database
from sparsepath.audit.record import (
    POLICY_KINDS,
    VERDICT,
    Draft,
    KeptText,
    Receipt,
    Record,
    chained,
)
from sparsepath.audit.tables import HEADS, POLICY_CHANGES, RECORDS, TEXTS, VERDICTS, WAITING

AT_ONCE: Final = 1000
"""Records that are held in memory while the log is read."""


# Made once: making them takes longer than running them.
_HEAD: Final = select(HEADS.c.seq, HEADS.c.hash).with_for_update()
_MOVE_HEAD: Final = update(HEADS).values(seq=bindparam("to_seq"), hash=bindparam("to_hash"))
_LISTS: Final = (TEXTS, WAITING, POLICY_CHANGES, VERDICTS)
_ADD: Final = {table: insert(table) for table in (RECORDS, *_LISTS)}


def append(
    database: Database, drafts: Sequence[Draft], *, keep_texts: bool = True
) -> list[Receipt]:
    """Write records at the end of the chain, all of them or none, and wait for the disk.

    Args:
        database: of the log.
        drafts: in their order.
        keep_texts: False keeps only the salts, so that a text that someone brings can be compared
            with the record later.

    Raises:
        RunError: if nothing could be written.
    """
    if not drafts:
        return []
    with database.writing_plainly() as pen:
        seq, previous = pen.row(_HEAD)
        linked = _linked(drafts, Receipt(seq, previous), keep_texts)
        for table, rows in linked.rows.items():
            if rows:
                pen.write(_ADD[table], rows)
        pen.write(_MOVE_HEAD, [linked.head])
    return linked.receipts


def append_in(
    connection: Connection, drafts: Sequence[Draft], *, keep_texts: bool = True
) -> list[Receipt]:
    """Write records within a writing transaction; see `append`."""
    linked = _linked(drafts, Receipt(*connection.execute(_HEAD).one()), keep_texts)
    for table, rows in linked.rows.items():
        if rows:
            connection.execute(_ADD[table], rows)
    connection.execute(_MOVE_HEAD, linked.head)
    return linked.receipts


class _Linked(NamedTuple):
    """New links of the chain."""

    receipts: list[Receipt]
    rows: dict[Table, list[dict[str, object]]]
    """What goes into each table, in the order in which tables need it."""

    @property
    def head(self) -> dict[str, object]:
        """The newest record, as `_MOVE_HEAD` wants it."""
        return {"to_seq": self.receipts[-1].seq, "to_hash": self.receipts[-1].hash}


def _linked(drafts: Sequence[Draft], head: Receipt, keep_texts: bool) -> _Linked:
    """Put drafts behind the newest record."""
    seq, previous = head
    time = now()
    receipts: list[Receipt] = []
    rows: dict[Table, list[dict[str, object]]] = {table: [] for table in _ADD}
    for draft in drafts:
        seq += 1
        record, texts = chained(draft, seq, time, previous)
        rows[RECORDS].append(record._asdict())
        receipts.append(Receipt(seq, record.hash))
        previous = record.hash
        for kept in texts:
            told = kept if keep_texts or draft.waits else kept._replace(text="")
            rows[TEXTS].append({"seq": seq, **told._asdict()})
        if draft.waits:
            rows[WAITING].append({"seq": seq})
        if draft.kind in POLICY_KINDS:
            rows[POLICY_CHANGES].append({"seq": seq})
        if draft.kind == VERDICT:
            rows[VERDICTS].append({"seq": seq, "decision": draft.body["decision"]})
    return _Linked(receipts, rows)


def hold(connection: Connection) -> None:
    """Let no other writer write until this transaction ends, so that what is read stays true."""
    connection.execute(select(HEADS.c.seq).with_for_update())


def head(database: Database) -> Receipt:
    """Give the newest record's number and hash; number 0 where there is none."""
    with database.reading() as connection:
        return head_in(connection)


def head_in(connection: Connection) -> Receipt:
    """Give the newest record as `head` does, within a transaction."""
    return Receipt(*connection.execute(select(HEADS.c.seq, HEADS.c.hash)).one())


def pages_in(
    connection: Connection, *, first: int = 1, last: int | None = None
) -> Iterator[list[Record]]:
    """Read records from one number to another, both included, in order, some at a time."""
    query = select(RECORDS).order_by(RECORDS.c.seq).limit(AT_ONCE)
    if last is not None:
        query = query.where(RECORDS.c.seq <= last)
    while rows := connection.execute(query.where(RECORDS.c.seq >= first)).all():
        yield [Record(*row) for row in rows]
        first = rows[-1].seq + 1


def texts_in(connection: Connection, first: int, last: int) -> dict[int, list[KeptText]]:
    """Give what is kept of the texts of records from one number to another, both included."""
    query = select(TEXTS.c.seq, TEXTS.c.role, TEXTS.c.salt, TEXTS.c.text)
    query = query.where(TEXTS.c.seq.between(first, last)).order_by(TEXTS.c.seq, TEXTS.c.role)
    found: dict[int, list[KeptText]] = {}
    for seq, *kept in connection.execute(query):
        found.setdefault(seq, []).append(KeptText(*kept))
    return found


def listed_in(connection: Connection, first: int, last: int) -> set[int]:
    """Give the records, from one number to another, that are listed as policies' or verdicts."""
    found: set[int] = set()
    for table in (POLICY_CHANGES, VERDICTS):
        query = select(table.c.seq).where(table.c.seq.between(first, last))
        found.update(connection.execute(query).scalars())
    return found


def forget(
    database: Database, *, seq: int | None = None, before: str | None = None, by: str
) -> int:
    """Delete texts and their salts for good, and record that it was done.

    Args:
        database: of the log.
        seq: of one record; None: of all.
        before: of records older than this UTC time; None: of any age.
        by: who asks.

    Returns:
        Records whose texts were deleted.
    """
    with database.writing() as connection:
        chosen = select(RECORDS.c.seq)
        if seq is not None:
            chosen = chosen.where(RECORDS.c.seq == seq)
        if before is not None:
            chosen = chosen.where(RECORDS.c.time < before)
        where = TEXTS.c.seq.in_(chosen)
        n = connection.execute(select(func.count(TEXTS.c.seq.distinct())).where(where)).scalar_one()
        connection.execute(delete(TEXTS).where(where))
        body = {"seq": seq, "before": before, "records": n, "by": by}
        append_in(connection, [Draft(kind="text.forget", body=body)])
    database.clean()
    return int(n)
