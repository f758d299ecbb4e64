"""Decisions in the database, window by window, against the PoC.

Windows do not overlap, and each is judged once by whichever server closes it first. An alarm begins
with the first window above a threshold and ends after two windows in a row without; both are
records of the audit log.
"""

import json
from typing import Any, Final, NamedTuple, final

import numpy as np
from pydantic import Field
from sqlalchemy import Connection, insert, select, update

from sparsepath.artifacts.answer_mix import count_bins
from sparsepath.artifacts.base import Artifact
from sparsepath.audit.clock import now
from sparsepath.audit.database import Database
from sparsepath.audit.drift.reference import Reference
from sparsepath.audit.drift.statistic import RATE, psi, threshold, total_variation
from sparsepath.audit.log import append_in, head_in
from sparsepath.audit.record import Draft
from sparsepath.audit.rollout.model import model_key
from sparsepath.audit.tables import DRIFTS, HEADS, RECORDS, SHADOW_ANSWERS

CALM: Final = 2
"""Windows without a measure above its threshold that end an alarm."""

_AT_ONCE: Final = 5000
"""Records that are read at a time."""

NEURONS: Final = "not measured: the exported graph does not give its neurons"


class Measure(Artifact):
    """One quantity of a window."""

    name: str
    """`labels`, `confidence`, `entropy`."""
    psi: float
    threshold: float
    total_variation: float
    """Share of the answers that moved."""

    @property
    def is_above(self) -> bool:
        """Whether it is too much."""
        return self.psi > self.threshold


class DriftState(Artifact):
    """What is known of a model's drift."""

    name: str
    reference: str
    """What answers are compared with, or why they are not."""
    window: int
    """Answers of a window."""
    windows: int = 0
    """Judged."""
    false_alarms: float = RATE
    """Share of the windows that may ring without any change."""
    is_alarm: bool = False
    since: str | None = None
    """When the alarm began, UTC."""
    calm: int = 0
    """Windows in a row without anything above its threshold."""
    first_seq: int = 0
    """First record of the newest window."""
    measures: list[Measure] = Field(default_factory=list)
    """Of the newest window; what is not in the reference is not measured."""
    neurons: str = NEURONS


class _Seen(NamedTuple):
    """An answer."""

    seq: int
    label: str
    probability: float
    entropy: float


@final
class Monitor:
    """Follows the answers of one model."""

    def __init__(self, key: str, name: str, reference: Reference, window: int) -> None:
        """Prepare.

        Args:
            key: of the model, as `model_key` gives it.
            name: of the model.
            reference: what its answers are compared with.
            window: answers of a window, at least 1.
        """
        self.key, self._name, self._reference, self._window = key, name, reference, window
        self.rollout: int | None = None
        """Rollout whose shadow stage the model answers in; None: none."""
        self._through = self._cursor = self._shadow_cursor = -1
        self._seen: list[_Seen] = []
        self.state = DriftState(name=name, reference=reference.why, window=window)

    @property
    def n_open(self) -> int:
        """Answers of the window that is not full yet."""
        return len(self._seen)

    def advance(self, database: Database) -> None:
        """Read new answers, and judge every window that is full.

        Raises:
            RunError: if the database cannot be read or written to.
        """
        if self._reference.mix is None:
            return
        self._reload(database)
        while self._read(database):
            while len(self._seen) >= self._window:
                self._close(database)

    def _reload(self, database: Database) -> None:
        """Follow what other servers judged; begin where the log ends now."""
        with database.reading() as connection:
            found = _row_in(connection, self.key)
        if found is None:
            with database.writing() as connection:
                _lock(connection)
                found = _row_in(connection, self.key)
                if found is None:
                    found = head_in(connection).seq, self.state
                    _put(connection, self.key, *found, is_new=True)
        through, self.state = found
        if through != self._through:
            self._through = through
            self._cursor = max(self._cursor, through)
            self._shadow_cursor = max(self._shadow_cursor, through)
            self._seen = [seen for seen in self._seen if seen.seq > through]

    def _read(self, database: Database) -> bool:
        """Read some records after the cursor; say whether there may be more."""
        with database.reading() as connection:
            last = head_in(connection).seq
            end = min(last, self._cursor + _AT_ONCE)
            found = [] if end <= self._cursor else self._between(connection, end)
            beside = self._in_shadow(connection)
        was_new = end > self._cursor or bool(beside)
        self._cursor = max(self._cursor, end)
        self._seen = sorted(self._seen + found + beside)
        return was_new

    def _between(self, connection: Connection, end: int) -> list[_Seen]:
        """Give the model's answers after the cursor, up to a record."""
        table = RECORDS.c
        query = select(table.seq, table.body).where(
            table.seq > self._cursor, table.seq <= end, table.kind == "decision"
        )
        found = []
        for seq, body in connection.execute(query):
            facts = json.loads(body)
            if model_key(facts["model"]["sha256"], facts["model"]["precision"]) == self.key:
                entropy = facts["uncertainty"]["entropy"]
                found.append(_Seen(seq, facts["label"], facts["probability"], entropy))
        return found

    def _in_shadow(self, connection: Connection) -> list[_Seen]:
        """Give what the model said in a shadow stage since this was asked last."""
        if self.rollout is None:
            return []
        table = SHADOW_ANSWERS.c
        query = select(table.seq, table.new, table.probability, table.entropy).where(
            table.rollout == self.rollout, table.seq > self._shadow_cursor
        )
        rows = connection.execute(query.order_by(table.seq).limit(_AT_ONCE))
        found = [_Seen(*row) for row in rows]
        self._shadow_cursor = found[-1].seq if found else self._shadow_cursor
        return found

    def _close(self, database: Database) -> None:
        """Judge the first full window, unless another server did."""
        window, self._seen = self._seen[: self._window], self._seen[self._window :]
        measures = self._measures(window)
        state = _next(self.state, measures, window[0].seq)
        with database.writing() as connection:
            _lock(connection)
            row = _row_in(connection, self.key)
            if row is None or row[0] != self._through:
                return
            _put(connection, self.key, window[-1].seq, state, is_new=False)
            if state.is_alarm != self.state.is_alarm:
                kind: Any = "drift.begin" if state.is_alarm else "drift.end"
                body = {"model": self.key} | state.model_dump()
                append_in(connection, [Draft(kind=kind, body=body)])
        self._through, self.state = window[-1].seq, state

    def _measures(self, window: list[_Seen]) -> list[Measure]:
        """Compare a window with the reference, by each quantity that it has."""
        mix, names = self._reference.mix, self._reference.labels
        assert mix is not None
        places = {label: place for place, label in enumerate(names)}
        labels = [0] * len(names)
        for seen in window:
            if seen.label in places:
                labels[places[seen.label]] += 1
        counted = {
            "labels": (mix.labels, labels),
            "confidence": (mix.confidence, count_bins([seen.probability for seen in window])),
            "entropy": (mix.entropy, count_bins([seen.entropy for seen in window])),
        }
        known = {name: both for name, both in counted.items() if both[0]}
        return [
            Measure(
                name=name,
                psi=float(psi(np.array(before), np.array(after))),
                threshold=threshold(tuple(before), len(window), RATE / len(known)),
                total_variation=total_variation(before, after),
            )
            for name, (before, after) in known.items()
        ]


def drift_states(database: Database) -> dict[str, DriftState]:
    """Give what is known of every model's drift, by its key.

    Raises:
        RunError: if the database cannot be read.
    """
    with database.reading() as connection:
        rows = connection.execute(select(DRIFTS.c.model, DRIFTS.c.body).order_by(DRIFTS.c.model))
        return {model: DriftState.model_validate_json(body) for model, body in rows}


def _next(before: DriftState, measures: list[Measure], first: int) -> DriftState:
    """Give the state after one more window."""
    is_above = any(measure.is_above for measure in measures)
    calm = 0 if is_above else before.calm + 1
    is_alarm = is_above or (before.is_alarm and calm < CALM)
    since = (before.since or now()) if is_alarm else None
    changes: dict[str, Any] = {"windows": before.windows + 1, "is_alarm": is_alarm, "calm": calm}
    changes |= {"since": since, "first_seq": first, "measures": measures}
    return before.model_copy(update=changes)


def _lock(connection: Connection) -> None:
    """Wait for other writers."""
    connection.execute(select(HEADS.c.seq).with_for_update()).one()


def _row_in(connection: Connection, key: str) -> tuple[int, DriftState] | None:
    query = select(DRIFTS.c.through_seq, DRIFTS.c.body).where(DRIFTS.c.model == key)
    row = connection.execute(query).first()
    return None if row is None else (row[0], DriftState.model_validate_json(row[1]))


def _put(
    connection: Connection, key: str, through: int, state: DriftState, *, is_new: bool
) -> None:
    values = {"model": key, "through_seq": through, "body": state.model_dump_json()}
    if is_new:
        connection.execute(insert(DRIFTS), [values])
    else:
        connection.execute(update(DRIFTS).where(DRIFTS.c.model == key).values(values))
