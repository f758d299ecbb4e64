"""What happened in a span of time: the figures of a report over the log."""

import json
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import select

from sparsepath.audit.database import Database
from sparsepath.audit.log import AT_ONCE
from sparsepath.audit.record import Kind, Record
from sparsepath.audit.tables import RECORDS
from sparsepath.audit.verify import Verification, verify

DECISIONS: Final[tuple[Kind, ...]] = ("decision", "generation.begin", "generation.end")
"""Kinds of records that answers leave; all others are changes and events."""

MAX_EVENTS: Final = 500
"""Changes and events that a report lists."""


class Event(NamedTuple):
    """A change, or something else that happened to the server."""

    seq: int
    time: str
    kind: str
    facts: str
    """The record's body."""


@dataclass(kw_only=True, slots=True)
class LabelFigures:
    """Decisions for one label."""

    n: int = 0
    probability_sum: float = 0.0
    """Of their probabilities."""

    @property
    def probability(self) -> float:
        """The mean."""
        return self.probability_sum / self.n if self.n else 0.0


@dataclass(kw_only=True, slots=True)
class Period:
    """Figures of the records from one moment to another."""

    since: str
    """UTC."""
    until: str
    """UTC; this moment is not part of it."""
    first: int | None = None
    """Number of the first record; None: there is none."""
    last: int | None = None
    last_hash: str = ""
    n_back: int = 0
    """Times that the clock of the server went back."""
    kinds: Counter[str] = field(default_factory=Counter)
    days: Counter[str] = field(default_factory=Counter)
    """Answers a UTC day."""
    askers: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    """Answers by `NAME SHA-256`."""
    labels: dict[str, LabelFigures] = field(default_factory=dict)
    latency_ms: "array[float]" = field(default_factory=lambda: array("d"))
    """Of every decision, sorted at the end."""
    tokens: int = 0
    """Written by a language model."""
    events: list[Event] = field(default_factory=list)
    n_events: int = 0
    chain: Verification | None = None
    """Of the whole log; None: it was not looked through."""

    @property
    def n_answers(self) -> int:
        """Labels and texts that were given."""
        return self.kinds["decision"] + self.kinds["generation.begin"]

    def latency_at(self, share: float) -> float | None:
        """Give the latency below which a share of the decisions lies; None without decisions."""
        n = len(self.latency_ms)
        return self.latency_ms[min(n - 1, int(share * n))] if n else None


def read_period(database: Database, since: str, until: str, *, is_verified: bool = True) -> Period:
    """Go through the records of a span of time.

    Args:
        database: of the log.
        since: UTC time, as `audit.clock` writes it.
        until: UTC time, which is not part of the span.
        is_verified: also look through the whole chain, which takes some seconds a million records.

    Raises:
        RunError: if the database cannot be read.
    """
    period, seq, time = Period(since=since, until=until), 0, ""
    chosen = select(RECORDS).where(RECORDS.c.time >= since, RECORDS.c.time < until)
    chosen = chosen.order_by(RECORDS.c.seq).limit(AT_ONCE)
    while True:
        with database.reading() as connection:
            rows = connection.execute(chosen.where(RECORDS.c.seq > seq)).all()
        if not rows:
            break
        for row in rows:
            record = Record(*row)
            period.n_back += record.time < time
            seq, time = record.seq, record.time
            _add(period, record)
    period.latency_ms = array("d", sorted(period.latency_ms))
    period.chain = verify(database) if is_verified else None
    return period


def figures(period: Period) -> dict[str, Any]:
    """Give a period's figures as JSON can hold them."""
    return {
        "since": period.since,
        "until": period.until,
        "first": period.first,
        "last": period.last,
        "last_hash": period.last_hash or None,
        "clock_went_back": period.n_back,
        "answers": period.n_answers,
        "tokens": period.tokens,
        "latency_ms_p50": period.latency_at(0.5),
        "latency_ms_p95": period.latency_at(0.95),
        "latency_ms_p99": period.latency_at(0.99),
        "kinds": dict(period.kinds),
        "days": dict(period.days),
        "askers": dict(period.askers),
        "models": dict(period.models),
        "labels": {
            label: {"n": one.n, "probability": round(one.probability, 6)}
            for label, one in period.labels.items()
        },
        "events": [event._asdict() for event in period.events],
        "n_events": period.n_events,
        "chain": None if period.chain is None else chain_figures(period.chain),
    }


def chain_figures(chain: Verification) -> dict[str, Any]:
    """Give what was found of a chain as JSON can hold it."""
    return chain._asdict() | {"faults": [fault._asdict() for fault in chain.faults]}


def _add(period: Period, record: Record) -> None:
    """Count one record."""
    period.first = record.seq if period.first is None else period.first
    period.last, period.last_hash = record.seq, record.hash
    period.kinds[record.kind] += 1
    body: dict[str, Any] = json.loads(record.body)
    if record.kind not in DECISIONS:
        period.n_events += 1
        if len(period.events) < MAX_EVENTS:
            period.events.append(Event(record.seq, record.time, record.kind, record.body))
        return
    if record.kind == "generation.end":
        period.tokens += int(body.get("tokens") or 0)
        return
    model: dict[str, Any] = body.get("model") or {}
    period.days[record.time[:10]] += 1
    period.askers[str(body.get("by", "?"))] += 1
    period.models[f"{model.get('name', '?')} {model.get('sha256', '')}".strip()] += 1
    if record.kind == "decision":
        label = period.labels.setdefault(str(body.get("label", "?")), LabelFigures())
        label.n += 1
        label.probability_sum += float(body.get("probability") or 0.0)
        if isinstance(ms := body.get("latency_ms"), int | float):
            period.latency_ms.append(ms)
