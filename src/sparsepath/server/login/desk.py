"""Lets people in who log in at a provider, and knows them when they come back.

Their browsers hold a random secret in a cookie: no script can read it (HttpOnly), pages of other
sites cannot send it along with what changes something (SameSite=Lax), and it goes over https alone
where the page does (Secure).
"""

import asyncio
import hashlib
from time import monotonic
from typing import Final, NamedTuple, final

from starlette.requests import Request
from starlette.responses import Response

from sparsepath.audit.database import Database
from sparsepath.audit.logins import Login, NewLogin, add_login, end_login, find_login, refuse_login
from sparsepath.errors import needs_extra
from sparsepath.server.login.attempt import LASTS_S, Attempt, begin_attempt
from sparsepath.server.login.errors import NoRoleError, ProviderError
from sparsepath.server.login.options import LoginOptions
from sparsepath.server.problems import Problem

CALLBACK: Final = "/api/v1/login/callback"
"""Where the provider sends browsers back to."""

REMEMBERED_S: Final = 2.0
"""Longest time that a login that was ended goes on working."""

AT_ONCE: Final = 8
"""Logins that wait for the provider at the same time; more are asked to come again."""

_REMEMBERED: Final = 1024


class Begun(NamedTuple):
    """A login that goes on."""

    attempt: Attempt
    address: str
    """Of the provider, where it goes on."""


@final
class Desk:
    """Logs people in and out."""

    def __init__(self, database: Database, options: LoginOptions) -> None:
        """Prepare; the provider is not asked yet.

        Raises:
            MissingExtraError: if the package that checks signatures is not installed.
        """
        with needs_extra("oidc", "logging in at a provider"):
            from sparsepath.server.login.provider import Provider
        self._database, self._options = database, options
        self._provider = Provider(options)
        self._known: dict[bytes, tuple[float, Login]] = {}
        self._n_waiting = 0

    @property
    def attempt_cookie(self) -> str:
        """Name of the cookie of a login that goes on."""
        return self._named("sparsepath_attempt")

    @property
    def cookie(self) -> str:
        """Name of the cookie of who is in."""
        return self._named("sparsepath_login")

    def back(self, request: Request) -> str:
        """Give the address that the provider sends browsers back to."""
        page = self._options.page_url or f"http://{request.headers['host']}"
        return page.rstrip("/") + CALLBACK

    async def begin(self, request: Request, next_: str) -> Begun:
        """Begin a login.

        Raises:
            ProviderError: if the provider cannot be asked.
        """
        attempt = begin_attempt(next_)
        asked = asyncio.to_thread(self._provider.address, attempt, self.back(request))
        return Begun(attempt, await asked)

    async def finish(self, request: Request, attempt: Attempt, code: str) -> NewLogin:
        """Let who came back from the provider in.

        Raises:
            ProviderError: if the provider cannot be asked, or does not know the code.
            TokenError: if what it says cannot be believed.
            NoRoleError: if no rule gives that person a role; that is on record.
            RunError: if the database cannot be written to.
        """
        if self._n_waiting >= AT_ONCE:
            raise ProviderError(f"{AT_ONCE} logins wait for the provider already")
        sender, back = request.query_params.get("iss"), self.back(request)

        def work() -> NewLogin:
            self._provider.check_sender(sender)
            who = self._provider.visitor(code, attempt, back)
            role = self._options.rules.role_of(who.claims)
            if role is None:
                refuse_login(self._database, who.identity)
                raise NoRoleError
            return add_login(self._database, who.identity, role, hours=self._options.hours)

        self._n_waiting += 1
        try:
            return await asyncio.to_thread(work)
        finally:
            self._n_waiting -= 1

    async def find(self, request: Request) -> Login | None:
        """Say who asks, by the cookie; None where there is none that counts.

        Raises:
            Problem: if a page of another site asks.
            RunError: if the database cannot be reached.
        """
        secret = request.cookies.get(self.cookie)
        if not secret:
            return None
        login = await self._found(secret)
        if login is not None:
            _check_same_site(request)
        return login

    async def end(self, request: Request) -> None:
        """Log out who asks.

        Raises:
            RunError: if the database cannot be written to.
        """
        login = await self.find(request)
        if login is not None:
            self._known.clear()
            await asyncio.to_thread(end_login, self._database, login.id, by=f"login:{login.id}")
            self._known.clear()

    def put_cookie(self, reply: Response, name: str, value: str, seconds: int) -> None:
        """Give a browser a cookie."""
        reply.set_cookie(
            name,
            value,
            max_age=seconds,
            path="/",
            httponly=True,
            secure=self._options.is_secure,
            samesite="lax",
        )

    def keep_attempt(self, reply: Response, attempt: Attempt) -> None:
        """Let a browser keep its attempt."""
        self.put_cookie(reply, self.attempt_cookie, attempt.packed(), LASTS_S)

    def keep_login(self, reply: Response, new: NewLogin) -> None:
        """Let a browser keep what it shows from now on."""
        self.put_cookie(reply, self.cookie, new.secret, round(3600 * self._options.hours))

    def drop(self, reply: Response, name: str) -> None:
        """Take a cookie back."""
        self.put_cookie(reply, name, "", 0)

    def _named(self, name: str) -> str:
        """Browsers take `__Host-` from this very host by https alone."""
        return f"__Host-{name}" if self._options.is_secure else name

    async def _found(self, secret: str) -> Login | None:
        digest = hashlib.sha256(secret.encode("utf-8", "replace")).digest()
        known = self._known.get(digest)
        if known is not None and monotonic() - known[0] < REMEMBERED_S:
            return known[1]
        begun = monotonic()
        login = await asyncio.to_thread(find_login, self._database, secret)
        self._known.pop(digest, None)
        if login is not None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[digest] = (begun, login)
        return login


def _check_same_site(request: Request) -> None:
    """See that it is our page that asks; the guard has compared `Origin`, where there is one.

    Browsers send cookies to every port of a machine, and to sites beside ours.
    """
    is_ours = request.headers.get("sec-fetch-site", "none") in {"same-origin", "none"}
    if request.method not in {"GET", "HEAD"} and "origin" not in request.headers:
        is_ours = False
    if not is_ours:
        raise Problem(
            403, "origin", "another page asks with your login", fix="ask from the page itself"
        )
