"""Finding records by what they have in common, the newest first, page by page.

Bodies are canonical JSON, so that the text of a fact stands in them exactly once, always written
the same way: the database looks for that text, and what it finds is then compared as JSON. No index
is kept beside the chain that could say something else than the chain does.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, or_, select

from sparsepath.audit.database import Database
from sparsepath.audit.log import head_in, texts_in
from sparsepath.audit.record import POLICY_KINDS, KeptText, Record, canonical
from sparsepath.audit.tables import RECORDS
from sparsepath.errors import ConfigError

MAX_FOUND: Final = 500
"""Records of one page, at most."""

LOOKED_AT: Final = 200_000
"""Records that one page looks through, at most; the next page goes on from there."""


_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """What records must have in common; None asks for nothing."""

    kinds: tuple[str, ...] | None = None
    """What happened, such as `decision`."""

    since: str | None = None
    """At this UTC time or later, as `audit.clock` writes it."""

    until: str | None = None
    """Before this UTC time."""

    model: str | None = None
    """Name or SHA-256 of a model."""

    label: str | None = None
    """The label of a decision."""

    key: str | None = None
    """Id of the API key that asked, or of the key that was made or revoked."""

    request: str | None = None
    """Id of a request, as the header `X-Request-Id` of its answer has it."""

    policy: str | None = None
    """Name of a policy: its changes, and what it allowed."""

    hash: str | None = None
    """SHA-256 of a record, or of one of its texts behind its salt, as the record has it."""

    def __post_init__(self) -> None:
        """Refuse a span of time without a moment in it, and what is no hash.

        Raises:
            ConfigError: if `since` is not before `until`, or `hash` is no SHA-256.
        """
        if self.hash is not None and _SHA256.fullmatch(self.hash) is None:
            raise ConfigError(
                f"{self.hash[:80]!r} is no hash",
                hint="give the 64 digits and letters a to f that a record shows",
            )
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ConfigError(
                f"from {self.since} to {self.until} there is no time",
                hint="give a beginning that is before the end",
            )

    def admits(self, record: Record) -> bool:
        """Say whether a record is asked for."""
        body: Any = json.loads(record.body)
        return (
            (self.kinds is None or record.kind in self.kinds)
            and (self.since is None or record.time >= self.since)
            and (self.until is None or record.time < self.until)
            and self.model in {None, *_model(body)}
            and self.label in {None, _text(body, "label")}
            and self.key in {None, _text(body, "key"), _text(body, "by").removeprefix("key:")}
            and self.request in {None, _text(body, "request")}
            and self.policy in {None, _policy(record.kind, body)}
            and self.hash in {None, record.hash, *_hashes(body)}
        )


class Page(NamedTuple):
    """Some of the records that were asked for."""

    records: list[Record]
    """The newest first."""
    next: int | None
    """What to give as `before` for those that follow; None: there are none."""


class Whole(NamedTuple):
    """A record with what is kept beside it."""

    record: Record
    texts: list[KeptText]


def search(database: Database, query: Query, *, before: int | None = None, limit: int = 50) -> Page:
    """Give a page of records, which may be shorter than `limit` although more follow.

    Args:
        database: of the log.
        query: what the records must have.
        before: only records with a smaller number; None: from the newest.
        limit: records, 1 to 500.

    Raises:
        ConfigError: if `limit` or `before` is out of range.
        RunError: if the database cannot be read.
    """
    if not 1 <= limit <= MAX_FOUND or (before is not None and not 1 <= before < 2**63):
        raise ConfigError(
            f"a page of {limit} records before {before}", hint=f"ask for 1 to {MAX_FOUND}"
        )
    with database.reading() as connection:
        end = head_in(connection).seq + 1 if before is None else before
        low = max(1, end - LOOKED_AT)
        chosen = select(RECORDS).where(RECORDS.c.seq >= low, RECORDS.c.seq < end)
        chosen = chosen.where(*_conditions(connection, query))
        rows = connection.execute(chosen.order_by(RECORDS.c.seq.desc()).limit(limit)).all()
    found = [Record(*row) for row in rows]
    last = found[-1].seq if len(found) == limit else low
    return Page([one for one in found if query.admits(one)], last if last > 1 else None)


def find_record(database: Database, seq: int) -> Whole | None:
    """Give one record with its texts; None where there is none of that number."""
    with database.reading() as connection:
        row = connection.execute(select(RECORDS).where(RECORDS.c.seq == seq)).one_or_none()
        if row is None:
            return None
        return Whole(Record(*row), texts_in(connection, seq, seq).get(seq, []))


def _conditions(connection: Connection, query: Query) -> list[ColumnElement[bool]]:
    """Say what the database can look for by itself."""
    told: list[ColumnElement[bool]] = []
    if query.kinds is not None:
        told.append(RECORDS.c.kind.in_(query.kinds))
    if query.since is not None:
        told.append(RECORDS.c.time >= query.since)
    if query.until is not None:
        told.append(RECORDS.c.time < query.until)
    place = func.instr if connection.dialect.name == "sqlite" else func.strpos
    told += [or_(*(place(RECORDS.c.body, fact) > 0 for fact in facts)) for facts in _facts(query)]
    if query.hash is not None:
        fact = f":{canonical(query.hash)}"
        told.append(or_(RECORDS.c.hash == query.hash, place(RECORDS.c.body, fact) > 0))
    return told


def _facts(query: Query) -> list[list[str]]:
    """Give, for each thing asked for, the texts one of which a body must hold."""
    asked = {
        ("name", "sha256", "model"): query.model,
        ("label",): query.label,
        ("request",): query.request,
        ("name",): query.policy,
    }
    told = [
        [_fact(name, value) for name in names]
        for names, value in asked.items()
        if value is not None
    ]
    if query.key is not None:
        told.append([_fact("key", query.key), _fact("by", f"key:{query.key}")])
    return told


def _fact(name: str, value: str) -> str:
    return f"{canonical(name)}:{canonical(value)}"


def _text(body: Any, name: str) -> str:
    """Give a fact that is a text; empty where there is none."""
    value = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, str) else ""


def _model(body: Any) -> set[str]:
    """Give what the model of a record is called, and its hash."""
    model = body.get("model") if isinstance(body, dict) else None
    if isinstance(model, dict):
        return {_text(model, "name"), _text(model, "sha256")}
    return {_text(body, "model"), _text(body, "sha256")}


def _policy(kind: str, body: Any) -> str:
    """Give the name of the policy that a record is about; empty where it is about none."""
    policy = body.get("policy")
    if isinstance(policy, dict):
        return _text(policy, "name")
    return _text(body, "name") if kind in POLICY_KINDS else ""


def _hashes(body: Any) -> set[str]:
    """Give the hashes of a record's texts."""
    texts = body.get("texts")
    values = texts.values() if isinstance(texts, dict) else ()
    return {one for one in values if isinstance(one, str)}
