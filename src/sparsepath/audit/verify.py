"""Is the log as it was written? Finds records that were altered, removed, moved or cut off."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from sqlalchemy import Connection

from sparsepath.audit.anchor import Anchor
from sparsepath.audit.database import Database
from sparsepath.audit.log import head_in, listed_in, pages_in, texts_in
from sparsepath.audit.record import (
    FIRST,
    POLICY_KINDS,
    VERDICT,
    KeptText,
    Record,
    line_hash,
    salted_hash,
)

MAX_FAULTS: Final = 20
"""Faults that are told; what follows a fault is often its consequence."""


class Fault(NamedTuple):
    """Something that is not as it was written."""

    seq: int
    """Of the record at which it shows."""
    what: str
    """One sentence."""


class Verification(NamedTuple):
    """What was found."""

    records: int
    """Looked at."""
    texts: int
    """Kept and compared with their records."""
    anchors: int
    """Of an anchor file, found in the chain."""
    newest: str
    """Hash of the last record."""
    faults: list[Fault]
    """None: the log is as it was written."""


def verify(database: Database, anchors: Sequence[Anchor] = ()) -> Verification:
    """Look through the whole log.

    Without anchors, whoever can write to the database can cut off its end or write all of it anew
    without a trace; with them, only what came after the newest anchor.

    Args:
        database: of the log.
        anchors: lines of an anchor file.

    Raises:
        RunError: if the database cannot be read.
    """
    with database.reading() as connection:
        return _Chain(connection, anchors).verification()


class _Chain:
    """One walk along the chain."""

    def __init__(self, connection: Connection, anchors: Sequence[Anchor]) -> None:
        self._connection = connection
        self._anchors = {anchor.seq: anchor for anchor in anchors}
        self._last = Record(0, "", "", "", "", FIRST)
        self._n = self._n_texts = self._n_anchors = 0

    def verification(self) -> Verification:
        """Walk, and gather what was found."""
        faults = list(islice(self._faults(), MAX_FAULTS))
        return Verification(self._n, self._n_texts, self._n_anchors, self._last.hash, faults)

    def _faults(self) -> Iterator[Fault]:
        yield from self._anchored(0, FIRST)
        for page in pages_in(self._connection):
            texts = texts_in(self._connection, page[0].seq, page[-1].seq)
            listed = listed_in(self._connection, page[0].seq, page[-1].seq)
            for record in page:
                is_listed = record.kind in POLICY_KINDS or record.kind == VERDICT
                if is_listed != (record.seq in listed):
                    yield Fault(record.seq, "the list of policies or verdicts does not fit it")
                yield from self._links(record)
                yield from self._anchored(record.seq, record.hash)
                yield from self._texts(record, texts.get(record.seq, []))
                self._n += 1
                self._last = record
        newest = head_in(self._connection)
        if (newest.seq, newest.hash) != (self._last.seq, self._last.hash):
            yield Fault(
                newest.seq, f"the log says that it ends here, but it ends at {self._last.seq}"
            )
        for seq in sorted(self._anchors):
            yield Fault(seq, f"an anchor of {self._anchors[seq].time} names it; it is not there")

    def _links(self, record: Record) -> Iterator[Fault]:
        """Compare a record with its hash and with the one before it."""
        expected = self._last.seq + 1
        if record.seq != expected:
            yield Fault(record.seq, f"{record.seq - expected} records before it are missing")
        elif record.previous != self._last.hash:
            yield Fault(record.seq, "it does not follow the record before it")
        if line_hash(record.line) != record.hash:
            yield Fault(record.seq, "it was altered: its hash is another one")

    def _anchored(self, seq: int, digest: str) -> Iterator[Fault]:
        anchor = self._anchors.pop(seq, None)
        if anchor is None:
            return
        self._n_anchors += 1
        if anchor.hash != digest:
            yield Fault(seq, f"it is not the record that an anchor of {anchor.time} names")

    def _texts(self, record: Record, texts: Sequence[KeptText]) -> Iterator[Fault]:
        """Compare texts that are still kept with the hashes in their record."""
        for role, salt, text in texts:
            if text:
                self._n_texts += 1
                if _claimed(record, role) != salted_hash(salt, text):
                    yield Fault(record.seq, f"its text {role!r} is not the one that was recorded")


def _claimed(record: Record, role: str) -> str | None:
    """Give the hash that a record holds of a text, if it can be read."""
    try:
        claimed: object = json.loads(record.body)["texts"][role]
    except (ValueError, KeyError, TypeError):
        return None
    return claimed if isinstance(claimed, str) else None
