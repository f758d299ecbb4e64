"""The stages of a rollout, in the database; every change is a record of the audit log.

`shadow` (both answer, the old one counts), `canary` (the new one answers a share of the requests),
`full` (all of them); `rolled-back` from any of these in one step. A change names the revision that
it was decided on, so that of several servers that decide the same only one does it.
"""

import hashlib
import json
from typing import Any, Final, Literal, NamedTuple

from pydantic import Field, JsonValue
from sqlalchemy import Connection, insert, select, update

from sparsepath.artifacts.base import Artifact
from sparsepath.audit.clock import now
from sparsepath.audit.database import Database
from sparsepath.audit.log import append_in, head_in
from sparsepath.audit.record import Draft, Kind, canonical
from sparsepath.audit.rollout.model import ModelRef, check_fit
from sparsepath.audit.rollout.rules import Rules, check_gates
from sparsepath.audit.tables import HEADS, ROLLOUTS
from sparsepath.errors import ConfigError

Stage = Literal["shadow", "canary", "full", "rolled-back"]

NEXT: Final[dict[Stage, Stage]] = {"shadow": "canary", "canary": "full"}
"""What `promote` does."""


class Asked(Artifact):
    """What gates ask a person to do."""

    action: Literal["promote", "roll-back"]
    why: str = Field(max_length=2000)
    since: str
    """UTC."""


class Rollout(NamedTuple):
    """A rollout as it is now."""

    id: int
    """From 1."""
    revision: int
    """Grows with every change."""
    stage: Stage
    share: float
    """Of the requests that the new model answers in the canary stage."""
    old: ModelRef
    new: ModelRef
    rules: Rules
    asked: Asked | None
    began: str
    """UTC, as all times here."""
    changed: str
    by: str
    """Who made the last change: `user:NAME`, `key:ID`, `local`, `gates`."""
    first_seq: int
    """Number of the record that began it."""

    @property
    def is_going_on(self) -> bool:
        """Whether the end is open."""
        return self.stage in NEXT

    def told(self) -> dict[str, JsonValue]:
        """Give it as JSON."""
        plain: dict[str, JsonValue] = {}
        for name, value in self._asdict().items():
            plain[name] = value.model_dump() if isinstance(value, Artifact) else value
        return plain


def goes_to_new(rollout: int, share: float, texts: list[str]) -> bool:
    """Say whether the new model answers a request in the canary stage.

    The same request goes the same way on every server, and still does when the share grows, if the
    new model answered it before. Texts alone decide, and the rollout's number.
    """
    digest = hashlib.sha256(f"{rollout}:{canonical(texts)}".encode()).digest()
    return int.from_bytes(digest[:8]) < share * 2.0**64


def rollouts(database: Database) -> list[Rollout]:
    """Give every rollout, the oldest first.

    Raises:
        RunError: if the database cannot be reached.
    """
    with database.reading() as connection:
        return [_rollout(row) for row in connection.execute(select(ROLLOUTS).order_by("id"))]


def current(database: Database) -> Rollout | None:
    """Give the newest rollout; None where there was none; raises as `rollouts`."""
    with database.reading() as connection:
        return current_in(connection)


def current_in(connection: Connection) -> Rollout | None:
    """Give the newest rollout within a transaction."""
    row = connection.execute(select(ROLLOUTS).order_by(ROLLOUTS.c.id.desc()).limit(1)).first()
    return None if row is None else _rollout(row)


def start(database: Database, old: ModelRef, new: ModelRef, rules: Rules, *, by: str) -> Rollout:
    """Begin a rollout in its shadow stage, and record it.

    Raises:
        ConfigError: if one goes on, or the models do not fit together.
        RunError: if the database cannot be written to.
    """
    check_fit(old, new)
    check_gates(rules.gates, new.kind)
    with database.writing() as connection:
        _lock(connection)
        before = current_in(connection)
        if before is not None and before.is_going_on:
            raise ConfigError(
                f"the rollout of {before.new.name} goes on ({before.stage})",
                hint="end it first: sparsepath rollout promote, or roll-back",
            )
        is_other = before is not None and before.new.kind == old.kind and before.new.key != old.key
        if before is not None and before.stage == "full" and is_other:
            raise ConfigError(
                f"{before.new.name} ({before.new.precision}) answers now, not {old.name}",
                hint=f"start from it: sparsepath rollout start {before.new.folder} NEW",
            )
        id_, time = (0 if before is None else before.id) + 1, now()
        first = head_in(connection).seq + 1
        made = Rollout(id_, 1, "shadow", rules.share, old, new, rules, None, time, time, by, first)
        connection.execute(insert(ROLLOUTS), [_row(made)])
        facts: dict[str, JsonValue] = {"old": old.model_dump(), "new": new.model_dump()}
        facts["rules"] = rules.model_dump()
        _record(connection, "rollout.start", made, by, facts)
    return made


def promote(
    database: Database,
    *,
    by: str,
    share: float | None = None,
    revision: int | None = None,
    why: str = "",
) -> Rollout:
    """Begin the next stage; with a share, the canary stage with it.

    Args:
        database: of the rollout.
        by: who asks.
        share: of the requests, above 0 and up to 1; only in the canary stage and for it.
        revision: do nothing unless the rollout still has it.
        why: one sentence for the record.

    Raises:
        ConfigError: if there is nothing to promote, or it changed meanwhile.
        RunError: if the database cannot be written to.
    """
    if share is not None and not 0 < share <= 1:
        raise ConfigError(f"share {share:g}", hint="give more than 0 and up to 1, such as 0.1")
    with database.writing() as connection:
        before = _going_on(connection, revision)
        stage: Stage | None = "canary" if share is not None else NEXT.get(before.stage)
        if stage is None or (share is not None and not before.is_going_on):
            raise ConfigError(
                f"the rollout of {before.new.name} is {before.stage}: there is no next stage",
                hint="`sparsepath rollout start OLD NEW` begins another one",
            )
        changed = before._replace(stage=stage, share=before.share if share is None else share)
        return _change(connection, before, changed, "rollout.promote", by, why)


def roll_back(
    database: Database, *, by: str, revision: int | None = None, why: str = ""
) -> Rollout:
    """Let the old model answer everything again, from any stage; arguments as `promote`.

    Raises:
        ConfigError: if there is no rollout, it is rolled back already, or it changed meanwhile.
        RunError: if the database cannot be written to.
    """
    with database.writing() as connection:
        before = _going_on(connection, revision)
        if before.stage == "rolled-back":
            raise ConfigError(
                f"the rollout of {before.new.name} is rolled back already",
                hint="`sparsepath rollout status` shows it",
            )
        changed = before._replace(stage="rolled-back")
        return _change(connection, before, changed, "rollout.roll-back", by, why)


def ask(
    database: Database, action: Literal["promote", "roll-back"] | None, *, revision: int, why: str
) -> Rollout:
    """Note that gates ask a person to do something, and record it; None: they ask no more.

    Raises:
        ConfigError: if the rollout changed meanwhile.
        RunError: if the database cannot be written to.
    """
    with database.writing() as connection:
        before = _going_on(connection, revision)
        asked = None if action is None else Asked(action=action, why=why[:2000], since=now())
        changed = before._replace(asked=asked)
        return _change(connection, before, changed, "rollout.ask", "gates", why)


def _lock(connection: Connection) -> None:
    """Wait for other writers."""
    connection.execute(select(HEADS.c.seq).with_for_update()).one()


def _going_on(connection: Connection, revision: int | None) -> Rollout:
    """Give the newest rollout, locked, which must have a revision."""
    _lock(connection)
    found = current_in(connection)
    if found is None:
        raise ConfigError("there is no rollout", hint="begin one: sparsepath rollout start OLD NEW")
    if revision is not None and found.revision != revision:
        raise ConfigError(
            f"the rollout changed meanwhile, to {found.stage} by {found.by}",
            hint="look at it again: sparsepath rollout status",
        )
    return found


def _change(
    connection: Connection, before: Rollout, changed: Rollout, kind: Kind, by: str, why: str
) -> Rollout:
    """Write a change and its record."""
    made = changed._replace(revision=before.revision + 1, changed=now(), by=by)
    if kind != "rollout.ask":
        made = made._replace(asked=None)
    connection.execute(update(ROLLOUTS).where(ROLLOUTS.c.id == made.id).values(_row(made)))
    facts: dict[str, JsonValue] = {
        "from": before.stage,
        "share": made.share,
        "asked": None if made.asked is None else made.asked.action,
        "why": why,
        "old": before.old.key,
        "new": before.new.key,
    }
    _record(connection, kind, made, by, facts)
    return made


def _record(
    connection: Connection, kind: Kind, made: Rollout, by: str, facts: dict[str, JsonValue]
) -> None:
    told: dict[str, JsonValue] = {"rollout": made.id, "revision": made.revision}
    told |= {"stage": made.stage, "by": by} | facts
    append_in(connection, [Draft(kind=kind, body=told)])


def _row(rollout: Rollout) -> dict[str, object]:
    """Write it as a row of `ROLLOUTS`."""
    plain = rollout.told()
    for name in ("old", "new", "rules", "asked"):
        plain[name] = None if plain[name] is None else canonical(plain[name])
    return dict(plain)


def _rollout(row: Any) -> Rollout:
    """Read a row of `ROLLOUTS`."""
    return Rollout(
        row.id,
        row.revision,
        row.stage,
        row.share,
        ModelRef.model_validate_json(row.old),
        ModelRef.model_validate_json(row.new),
        Rules.model_validate(json.loads(row.rules)),
        None if row.asked is None else Asked.model_validate_json(row.asked),
        row.began,
        row.changed,
        row.by,
        row.first_seq,
    )
