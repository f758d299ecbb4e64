"""Persons who logged in at a provider of identities; every login, refusal and end is a record.

A browser sends a random secret with each request; the database holds only its hash. Of a person it
holds the name and the role that the provider's word gave them then. Rows go a while after they
ended; the records stay.
"""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from pydantic import JsonValue
from sqlalchemy import delete, insert, select, update

from sparsepath.audit.clock import in_days, now, written
from sparsepath.audit.database import Database
from sparsepath.audit.log import append, append_in
from sparsepath.audit.record import Draft
from sparsepath.audit.roles import Role
from sparsepath.audit.tables import LOGINS
from sparsepath.errors import ConfigError

KEPT_DAYS: Final = 30.0
"""How long an ended login stays in the list."""

CLOCK_S: Final = 300
"""Seconds by which clocks may differ; one that jumps further back makes logins invalid."""

_NAME: Final = 49
"""Characters of a person's name that are kept: with the id, 64."""


class Identity(NamedTuple):
    """Who someone is, by the word of a provider."""

    issuer: str
    subject: str
    """Never changes, and is never given to another person."""
    name: str
    """May change, and several persons may have it."""


class Login(NamedTuple):
    """A person who logged in."""

    id: str
    person: str
    role: Role
    created: str
    """UTC, as all times here."""
    expires: str
    ended: str | None
    """None: it was not ended before it expires."""

    def is_valid(self, moment: str) -> bool:
        """Say whether it counts at a time."""
        begun = written(datetime.fromisoformat(self.created) - timedelta(seconds=CLOCK_S))
        return self.ended is None and begun <= moment < self.expires


class NewLogin(NamedTuple):
    """A login that was just made."""

    login: Login
    secret: str
    """What the browser sends; nobody can show it again."""


def person_of(who: Identity) -> str:
    """Give the name by which records tell a person: `NAME <ID>`, up to 64 characters.

    The id is made of issuer and subject, so it stays when the name changes.
    """
    told = f"{who.issuer}\n{who.subject}".encode("utf-8", "replace")
    name = "".join(c if c.isprintable() and c not in "<>" else " " for c in who.name)
    shown = " ".join(name.split())[:_NAME].strip() or "?"
    return f"{shown} <{hashlib.sha256(told).hexdigest()[:12]}>"


def add_login(database: Database, who: Identity, role: Role, *, hours: float) -> NewLogin:
    """Let a person in, and record it.

    Args:
        database: where logins are kept.
        who: the person.
        role: what they may do.
        hours: until they must log in again.

    Raises:
        RunError: if the database cannot be written to.
    """
    id_, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    expires = written(datetime.now(UTC) + timedelta(hours=hours))
    login = Login(id_, person_of(who), role, now(), expires, None)
    facts = _facts(who) | {"login": id_, "role": role, "expires": expires}
    with database.writing() as connection:
        connection.execute(delete(LOGINS).where(LOGINS.c.expires < in_days(-KEPT_DAYS)))
        connection.execute(insert(LOGINS), [{**login._asdict(), "hash": _hash(secret)}])
        append_in(connection, [Draft(kind="login.add", body=facts)])
    return NewLogin(login, secret)


def refuse_login(database: Database, who: Identity) -> None:
    """Record that a person whom no rule gives a role wanted in."""
    append(database, [Draft(kind="login.refuse", body=_facts(who))])


def find_login(database: Database, secret: str) -> Login | None:
    """Give the valid login of what a browser sent; None for anything else.

    Raises:
        RunError: if the database cannot be reached.
    """
    with database.reading() as connection:
        found = select(LOGINS).where(LOGINS.c.hash == _hash(secret))
        row = connection.execute(found).one_or_none()
    login = None if row is None else _login(row)
    return login if login is not None and login.is_valid(now()) else None


def list_logins(database: Database) -> list[Login]:
    """List logins, the oldest first; those that ended long ago are gone."""
    with database.reading() as connection:
        rows = connection.execute(select(LOGINS).order_by(LOGINS.c.created, LOGINS.c.id))
        return [_login(row) for row in rows]


def end_login(database: Database, id_: str, *, by: str) -> Login:
    """End a login, and record it; one that has ended stays as it is.

    Raises:
        ConfigError: if there is none.
        RunError: if the database cannot be written to.
    """
    with database.writing() as connection:
        row = connection.execute(select(LOGINS).where(LOGINS.c.id == id_)).one_or_none()
        if row is None:
            raise ConfigError(f"no login {id_!r}", hint="`sparsepath logins list` shows their ids")
        login = _login(row)
        if login.ended is None:
            login = login._replace(ended=now())
            connection.execute(update(LOGINS).where(LOGINS.c.id == id_).values(ended=login.ended))
            facts: dict[str, JsonValue] = {"login": id_, "person": login.person, "by": by}
            append_in(connection, [Draft(kind="login.end", body=facts)])
    return login


def _facts(who: Identity) -> dict[str, JsonValue]:
    return {"person": person_of(who), "issuer": who.issuer, "subject": who.subject}


def _login(row: Any) -> Login:
    """Read a row of `LOGINS`."""
    return Login(row.id, row.person, row.role, row.created, row.expires, row.ended)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
