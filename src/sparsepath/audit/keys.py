"""API keys: who may ask what. A key is shown once; the database holds only the hash of its secret.

A key reads `sp_ID_SECRET`. The secret has 256 random bits, so a plain SHA-256 is enough: there is
nothing to guess from.
"""

import hashlib
import hmac
import re
import secrets
from typing import Any, Final, NamedTuple

from pydantic import JsonValue
from sqlalchemy import Connection, insert, select, update

from sparsepath.audit.actor import Actor, told
from sparsepath.audit.clock import in_days, now
from sparsepath.audit.database import Database
from sparsepath.audit.log import append_in
from sparsepath.audit.record import Draft
from sparsepath.audit.roles import Role
from sparsepath.audit.tables import KEYS
from sparsepath.errors import ConfigError

MAX_DAYS: Final = 3650
"""Longest life of a key."""

MAX_LIMIT: Final = 10**9
"""Largest limit of a key."""

_KEY: Final = re.compile(r"sp_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


class Key(NamedTuple):
    """What is known of a key."""

    id: str
    name: str
    """Whose it is, or what for."""
    role: Role
    created: str
    """UTC, as all times here."""
    expires: str | None
    """None: never."""
    revoked: str | None
    """None: it is not."""
    per_minute: int | None = None
    """Texts and other requests in a minute, at most; None: as many as come."""
    per_day: int | None = None
    """In a UTC day."""

    def is_valid(self, moment: str) -> bool:
        """Say whether it may be used at a time."""
        return self.revoked is None and (self.expires is None or moment < self.expires)


class KeyLimits(NamedTuple):
    """How much a key may ask; None: as much as it likes."""

    per_minute: int | None = None
    per_day: int | None = None


NO_LIMITS: Final = KeyLimits()


class NewKey(NamedTuple):
    """A key that was just made."""

    key: Key
    secret: str
    """The whole key as users send it; nobody can show it again."""


def add_key(
    database: Database,
    name: str,
    role: Role,
    *,
    days: float | None = 90.0,
    limits: KeyLimits = NO_LIMITS,
    by: Actor | str,
) -> NewKey:
    """Make a key and record it.

    Args:
        database: where it is kept.
        name: whose it is, or what for; 1 to 64 characters that can be printed.
        role: what it may do.
        days: until it expires, above 0 and up to 3650; None: never.
        limits: how much it may ask, each 1 to 10^9.
        by: who makes it.

    Raises:
        ConfigError: if something is out of range.
        RunError: if the database cannot be written to.
    """
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise ConfigError(
            f"the name of a key has {len(name)} characters",
            hint="give 1 to 64 that can be printed, such as `ticket-router`",
        )
    if days is not None and not 0 < days <= MAX_DAYS:
        raise ConfigError(
            f"a key for {days:g} days", hint=f"give more than 0 and up to {MAX_DAYS} days"
        )
    for name_, limit in limits._asdict().items():
        if limit is not None and not 1 <= limit <= MAX_LIMIT:
            raise ConfigError(f"{name_} = {limit}", hint=f"give 1 to {MAX_LIMIT}, or no limit")
    id_, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    expires = None if days is None else in_days(days)
    key = Key(id_, name, role, now(), expires, None, *limits)
    facts: dict[str, JsonValue] = {"key": id_, "name": name, "role": role, "expires": expires}
    facts |= {**told(by), **limits._asdict()}
    with database.writing() as connection:
        connection.execute(insert(KEYS), [{**key._asdict(), "hash": _hash(secret)}])
        append_in(connection, [Draft(kind="key.add", body=facts)])
    return NewKey(key, f"sp_{id_}_{secret}")


def list_keys(database: Database) -> list[Key]:
    """List every key, the oldest first."""
    with database.reading() as connection:
        rows = connection.execute(select(KEYS).order_by(KEYS.c.created, KEYS.c.id))
        return [_key(row) for row in rows]


def revoke_key(database: Database, id_: str, *, by: Actor | str) -> Key:
    """Make a key useless from now on, and record it; one that is revoked already stays so.

    Raises:
        ConfigError: if there is no such key.
        RunError: if the database cannot be written to.
    """
    with database.writing() as connection:
        key = _find(connection, id_)
        if key is None:
            raise ConfigError(f"no key {id_!r}", hint="`sparsepath keys list` shows their ids")
        if key.revoked is None:
            key = key._replace(revoked=now())
            change = update(KEYS).where(KEYS.c.id == id_).values(revoked=key.revoked)
            connection.execute(change)
            facts = {"key": id_, **told(by)}
            append_in(connection, [Draft(kind="key.revoke", body=facts)])
    return key


def find_key(database: Database, secret: str) -> Key | None:
    """Give the valid key that someone sent; None for anything else.

    Raises:
        RunError: if the database cannot be reached.
    """
    parts = _KEY.fullmatch(secret)
    if parts is None:
        return None
    with database.reading() as connection:
        row = connection.execute(select(KEYS).where(KEYS.c.id == parts[1])).one_or_none()
    if row is None or not hmac.compare_digest(row.hash, _hash(parts[2])):
        return None
    key = _key(row)
    return key if key.is_valid(now()) else None


def _find(connection: Connection, id_: str) -> Key | None:
    row = connection.execute(select(KEYS).where(KEYS.c.id == id_)).one_or_none()
    return None if row is None else _key(row)


def _key(row: Any) -> Key:
    """Read a row of `KEYS`."""
    return Key(
        row.id,
        row.name,
        row.role,
        row.created,
        row.expires,
        row.revoked,
        row.per_minute,
        row.per_day,
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
