"""Who asks, and whether they may."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, NamedTuple, final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from sparsepath.audit.actor import Actor
from sparsepath.audit.database import Database
from sparsepath.audit.keys import Key, find_key
from sparsepath.audit.roles import Role, allows
from sparsepath.server.limits import Limits
from sparsepath.server.login.desk import Desk
from sparsepath.server.problems import Problem

REMEMBERED_S: Final = 2.0
"""Longest time that a revoked key goes on working."""

NO_LOGIN: Final = "no_login"
"""Code by which the page knows that people can log in."""

_REMEMBERED: Final = 1024
"""Keys that are remembered at once."""

_BEARER: Final = HTTPBearer(auto_error=False, description="A key of `sparsepath keys add`.")


class Principal(NamedTuple):
    """Who asks."""

    name: str
    """As the audit log has it: `key:ID`, `login:ID`, or `local`."""
    role: Role
    person: str
    """Name of the key, or of who logged in, by which persons are told apart; else `local`."""
    key: Key | None = None
    """The key that was sent; None for who logged in, or on a server that demands none."""

    @property
    def actor(self) -> Actor:
        """The same as records of policies and verdicts have it."""
        return Actor(self.name, self.person)


LEAST: Final[dict[Callable[..., Any], Role]] = {}
"""The role that each dependency of `asker` demands."""

LOCAL: Final = Principal("local", "admin", "local")
"""Whoever asks a server on loopback that demands no keys."""


@final
class Doorkeeper:
    """Knows keys, and remembers valid ones for a moment; knows who logged in."""

    def __init__(self, database: Database, *, demands_keys: bool, desk: Desk | None = None) -> None:
        self._database, self._demands_keys, self.desk = database, demands_keys, desk
        self._known: dict[bytes, tuple[float, Key]] = {}

    async def admit(self, secret: str | None, request: Request) -> Principal:
        """Say who asks: with a key that was sent, else as who is logged in.

        Raises:
            Problem: if a key is demanded and this is none, and nobody is logged in.
            RunError: if the database cannot be reached.
        """
        if not self._demands_keys:
            return LOCAL
        if self.desk is not None and secret is None:
            return await _logged_in(self.desk, request)
        key = None if secret is None else await self._find(secret)
        if key is None:
            raise Problem(
                401,
                "no_key",
                "this server needs a valid API key",
                fix="send Authorization: Bearer KEY; who runs the server makes one with "
                "`sparsepath keys add`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return Principal(f"key:{key.id}", key.role, key.name, key)

    def forget(self) -> None:
        """Look every key up anew."""
        self._known.clear()

    async def _find(self, secret: str) -> Key | None:
        digest = hashlib.sha256(secret.encode("utf-8", "replace")).digest()
        known = self._known.get(digest)
        if known is not None and time.monotonic() - known[0] < REMEMBERED_S:
            return known[1]
        key = await asyncio.to_thread(find_key, self._database, secret)
        self._known.pop(digest, None)
        if key is not None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[digest] = (time.monotonic(), key)
        return key


async def _logged_in(desk: Desk, request: Request) -> Principal:
    """Say who is logged in.

    Raises:
        Problem: if nobody is, or a page of another site asks.
        RunError: if the database cannot be reached.
    """
    login = await desk.find(request)
    if login is None:
        raise Problem(
            401,
            NO_LOGIN,
            "this server needs a login or a valid API key",
            fix="log in on its page, or send Authorization: Bearer KEY",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return Principal(f"login:{login.id}", login.role, login.person)


def desk_of(request: Request) -> Desk | None:
    """Give what logs people in; None: nobody logs in here."""
    doorkeeper = request.app.state.service.doorkeeper
    assert isinstance(doorkeeper, Doorkeeper)
    return doorkeeper.desk


async def admit(request: Request, secret: str | None, least: Role) -> Principal:
    """Say who asks with a key or a login, and count the request; for routes that need a role.

    Raises:
        Problem: if the key is none, has another role, or has asked too much.
        RunError: if the database cannot be reached.
    """
    doorkeeper = request.app.state.service.doorkeeper
    assert isinstance(doorkeeper, Doorkeeper)
    found = await doorkeeper.admit(secret, request)
    request.state.asker = found.name
    if not allows(found.role, least):
        raise Problem(
            403,
            "role",
            f"this needs the role {least}, the key has {found.role}",
            fix="ask who runs the server for another key",
        )
    limits = request.app.state.service.limits
    assert isinstance(limits, Limits)
    await limits.charge(found.key)
    return found


def asker(least: Role) -> Callable[..., Awaitable[Principal]]:
    """Make the dependency of a route that needs at least a role."""

    async def admitted(
        request: Request,
        sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> Principal:
        return await admit(request, None if sent is None else sent.credentials, least)

    LEAST[admitted] = least
    return admitted
