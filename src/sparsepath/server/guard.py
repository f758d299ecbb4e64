"""What every request passes before anything looks at it, as plain ASGI.

A page of a foreign site must not reach a server on loopback through its visitor's browser: the
name in `Host` must be one of ours (DNS rebinding), and `Origin` must be the server itself. Bodies
are read whole here, bounded in size and time, so that nothing behind waits for a slow client.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Final, final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparsepath.server.connections import is_whole
from sparsepath.server.login.desk import CALLBACK
from sparsepath.server.logs import log
from sparsepath.server.metrics import Metrics
from sparsepath.server.options import ServeOptions
from sparsepath.server.page import SCREENS
from sparsepath.server.problems import Problem

_WITH_BODY: Final = {"POST", "PUT", "PATCH"}

UPLOADS: Final = {"/api/v1/jobs/poc", "/api/v1/jobs/catalogue"}
"""Routes that read their bodies themselves, once it is known who asks: tables."""

DRAINED: Final = 8
"""Times the limit up to which a body that is too large is read, and thrown away."""

_HEADERS: Final = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}


@final
class _Headers:
    """Headers of a request, without the searching and decoding of Starlette's."""

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        self._raw = raw
        self._first = dict(reversed(raw))

    def get(self, name: bytes, default: str) -> str:
        """Give a header by its name in lower case, of several the first."""
        found = self._first.get(name)
        return default if found is None else found.decode("latin-1")

    def all(self, name: bytes) -> list[str]:
        """Give every header of a name."""
        if name not in self._first:
            return []
        return [value.decode("latin-1") for key, value in self._raw if key == name]


@final
class Guard:
    """Checks, counts and logs requests."""

    def __init__(self, app: ASGIApp, *, options: ServeOptions, metrics: Metrics) -> None:
        self._app, self._options, self._metrics = app, options, metrics
        self._hosts = options.hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500
        id_ = scope.setdefault("state", {})["request_id"] = os.urandom(8).hex()

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = list(message.get("headers", ()))
                given = dict(own)
                own.extend(pair for pair in _HEADERS.items() if pair[0] not in given)
                message["headers"] = [*own, (b"x-request-id", id_.encode())]
            await send(message)

        try:
            await self._passed(scope, receive, sent)
        finally:
            self._told(scope, status, time.perf_counter() - begun)

    async def _passed(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = _Headers(scope["headers"])
            # A link in a mail may lead to the page, which holds no data of anybody, and the
            # provider of identities sends people back.
            is_open = scope["path"] in SCREENS or scope["path"] == CALLBACK
            is_link = is_open and headers.get(b"sec-fetch-mode", "") == "navigate"
            self._check_names(headers, is_link=is_link)
            if scope["method"] in _WITH_BODY and scope["path"] not in UPLOADS:
                receive = await self._buffered(scope, headers, receive)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_names(self, headers: _Headers, *, is_link: bool) -> None:
        """Compare `Host` and `Origin` with what they may be."""
        host = headers.get(b"host", "")
        if len(headers.all(b"host")) != 1 or _name(host) not in self._hosts:
            raise Problem(
                421,
                "host",
                "this server is not called so",
                fix="use its own address, or start it with --allow-host NAME",
            )
        origins = headers.all(b"origin")
        is_foreign = headers.get(b"sec-fetch-site", "none") == "cross-site" and not is_link
        if is_foreign or any(_netloc(origin) != host.lower() for origin in origins):
            raise Problem(
                403, "origin", "a page of another site asks", fix="ask from outside a browser"
            )

    async def _buffered(self, scope: Scope, headers: _Headers, receive: Receive) -> Receive:
        """Read the body, and give a `receive` that hands it out again."""
        kind = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Problem(
                415,
                "content_type",
                "the body is not JSON",
                fix="send Content-Type: application/json",
            )
        length = headers.get(b"content-length", "0")
        limit = self._options.max_body_bytes
        is_number = length.isascii() and length.isdigit() and len(length) <= 18
        if not is_number or int(length) > DRAINED * limit:
            raise _too_large(limit)
        seconds = None if is_whole(scope) else self._options.body_timeout_s
        try:
            async with asyncio.timeout(seconds):
                body = await _whole(receive, limit)
        except TimeoutError as err:
            raise Problem(
                408, "slow", "the body did not come in time", fix="send it at once"
            ) from err
        is_given = False

        async def again() -> Message:
            nonlocal is_given
            if is_given:
                return await receive()
            is_given = True
            return {"type": "http.request", "body": body, "more_body": False}

        return again

    def _told(self, scope: Scope, status: int, seconds: float) -> None:
        """Count and log a request that is over; its path only where it is one of ours."""
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.requests.add(route, str(status))
        self._metrics.seconds.add(seconds)
        state = scope["state"]
        log(
            "request",
            request=state["request_id"],
            method=scope["method"] if len(scope["method"]) < 16 else "other",
            route=route,
            status=status,
            ms=round(1000 * seconds, 3),
            asker=state.get("asker"),
            texts=state.get("n_texts"),
        )


async def _whole(receive: Receive, limit: int) -> bytes:
    """Read a body; one that is somewhat too large to its end, so that its client reads why."""
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(499, "gone", "the client left", fix="stay until the answer comes")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        is_over = not message.get("more_body", False)
        if size > DRAINED * limit or (is_over and size > limit):
            raise _too_large(limit)
        if is_over:
            return b"".join(chunks)


def _too_large(limit: int) -> Problem:
    return Problem(
        413,
        "too_large",
        f"the body is larger than {limit} bytes",
        fix="send fewer texts at a time",
        headers={"Connection": "close"},
    )


def _name(host: str) -> str:
    """Give the name in a `Host` header, without its port, in lower case."""
    try:
        return (urlsplit(f"//{host}").hostname or "") if "@" not in host else ""
    except ValueError:
        return ""


def _netloc(origin: str) -> str:
    """Give name and port of an `Origin` header, in lower case; nothing where it has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
