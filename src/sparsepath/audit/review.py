"""Decisions that wait for a person, and the verdicts that persons gave.

A verdict is a record of the chain; of several on one decision all are kept and the last one counts.
Texts lie beside the chain and can be forgotten; then the decision still waits, without its text.
"""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, delete, func, select

from sparsepath.audit.actor import Actor
from sparsepath.audit.database import Database
from sparsepath.audit.log import append_in, hold, pages_in, texts_in
from sparsepath.audit.record import Draft, Receipt, Record
from sparsepath.audit.tables import RECORDS, VERDICTS, WAITING
from sparsepath.errors import ConfigError

AT_ONCE = 500
"""Verdicts that are held in memory while they are exported."""


class Verdict(NamedTuple):
    """What a person said about a decision."""

    seq: int
    """Number of its own record."""
    time: str
    """UTC, as all times here."""
    label: str | None
    """None: no label fits."""
    by: str
    person: str


class Case(NamedTuple):
    """A decision that a person is to look at."""

    seq: int
    """Number of the decision's record."""
    time: str
    model: str
    label: str
    """As the model says."""
    probability: float
    below: float
    """It waits because its probability, or its lead over the runner-up, is below this."""
    by: Literal["probability", "margin"]
    """Which of the two it is."""
    margin: float
    """Its lead over the runner-up, in probability."""
    labels: tuple[str, ...]
    """Labels to choose from."""


class Looked(NamedTuple):
    """A case with all that is known of it."""

    case: Case
    text: str | None
    """None: it was forgotten."""
    verdicts: list[Verdict]
    """The last one counts."""


class Labelled(NamedTuple):
    """A text with the label that a person gave it."""

    text: str
    label: str


class Export(NamedTuple):
    """What an export gave, and what it left out."""

    rows: int
    forgotten: int
    """Verdicts whose texts were deleted."""
    fits_none: int
    """Verdicts that no label fits."""


def waiting(database: Database, *, after: int = 0, limit: int = 100) -> list[Case]:
    """List decisions without a verdict, the oldest first.

    Args:
        database: of the log.
        after: number of a record; only decisions after it.
        limit: how many, at most.
    """
    query = select(RECORDS).join(WAITING, WAITING.c.seq == RECORDS.c.seq)
    query = query.where(WAITING.c.seq > after).order_by(WAITING.c.seq).limit(limit)
    with database.reading() as connection:
        return [_case(Record(*row)) for row in connection.execute(query)]


def n_waiting(database: Database) -> int:
    """Count decisions without a verdict."""
    with database.reading() as connection:
        return int(connection.execute(select(func.count(WAITING.c.seq))).scalar_one())


def look(database: Database, seq: int) -> Looked:
    """Show one decision that waits or waited, with its text and verdicts.

    Raises:
        ConfigError: if there is none of that number.
    """
    with database.reading() as connection:
        return _look(connection, seq)


def decide(database: Database, seq: int, label: str | None, who: Actor) -> Receipt:
    """Give a verdict on a decision; one that has a verdict already gets another.

    Args:
        database: of the log.
        seq: number of the decision's record.
        label: the right one; None: no label fits.
        who: gives it.

    Raises:
        ConfigError: if there is no such decision, or the model has no such label.
        RunError: if the database cannot be written to.
    """
    with database.writing() as connection:
        hold(connection)
        case = _look(connection, seq).case
        if label is not None and label not in case.labels:
            raise ConfigError(
                f"the model has no label {label[:80]!r}",
                hint=f"choose one of: {', '.join(case.labels)}; or say that none fits",
            )
        body = {"decision": seq, "label": label, "said": case.label, **who._asdict()}
        connection.execute(delete(WAITING).where(WAITING.c.seq == seq))
        return append_in(connection, [Draft(kind="review.verdict", body=body)])[0]


class Labels:
    """The texts with the last verdict on each, in the order of the decisions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = self._forgotten = self._fits_none = 0

    def __iter__(self) -> Iterator[Labelled]:
        """Give them; what is left out is counted."""
        self._rows = self._forgotten = self._fits_none = 0
        last = func.max(VERDICTS.c.seq)
        newest = select(last).group_by(VERDICTS.c.decision).order_by(VERDICTS.c.decision)
        with self._database.reading() as connection:
            found = [*connection.execute(newest).scalars()]
            for start in range(0, len(found), AT_ONCE):
                yield from self._page(connection, found[start : start + AT_ONCE])

    @property
    def export(self) -> Export:
        """Give the counts of what was given last."""
        return Export(self._rows, self._forgotten, self._fits_none)

    def _page(self, connection: Connection, verdicts: list[int]) -> Iterator[Labelled]:
        query = select(RECORDS).where(RECORDS.c.seq.in_(verdicts))
        said = {row.seq: json.loads(row.body) for row in connection.execute(query)}
        for seq in verdicts:
            decision, label = said[seq]["decision"], said[seq]["label"]
            text = _text(connection, decision)
            if label is None:
                self._fits_none += 1
            elif text is None:
                self._forgotten += 1
            else:
                self._rows += 1
                yield Labelled(text, label)


def csv_lines(labels: Labels) -> Iterator[str]:
    """Write texts and labels as lines of CSV; what has no UTF-8 form becomes a question mark."""
    yield "text,label"
    for row in labels:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(row)
        yield line.getvalue().encode("utf-8", "replace").decode()


def _look(connection: Connection, seq: int) -> Looked:
    """Look at a decision within a transaction; raises as `look`."""
    page = next(pages_in(connection, first=seq, last=seq), [])
    if not page or page[0].kind != "decision" or not json.loads(page[0].body).get("review"):
        raise ConfigError(
            f"record {seq} is no decision that waits for a person",
            hint="`sparsepath review list` shows those that do",
        )
    query = select(RECORDS).join(VERDICTS, VERDICTS.c.seq == RECORDS.c.seq)
    query = query.where(VERDICTS.c.decision == seq).order_by(RECORDS.c.seq)
    verdicts = [_verdict(Record(*row)) for row in connection.execute(query)]
    return Looked(_case(page[0]), _text(connection, seq), verdicts)


def _text(connection: Connection, seq: int) -> str | None:
    """Give the text of a decision, if it is kept."""
    kept = texts_in(connection, seq, seq).get(seq, [])
    found: str | None = next(
        (json.loads(text.text) for text in kept if text.role == "input" and text.text), None
    )
    return found


def _case(record: Record) -> Case:
    body: dict[str, Any] = json.loads(record.body)
    review = body["review"]
    return Case(
        record.seq,
        record.time,
        body["model"]["name"],
        body["label"],
        body["probability"],
        review["below"],
        review.get("by", "probability"),
        body.get("uncertainty", {}).get("margin", 0.0),
        tuple(review["labels"]),
    )


def _verdict(record: Record) -> Verdict:
    body = json.loads(record.body)
    return Verdict(record.seq, record.time, body["label"], body["by"], body["person"])
