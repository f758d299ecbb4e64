"""The short way to `/api/v1/classify`, which carries nearly all of a server's load.

What FastAPI does for each request takes longer than a light model's answer. A plain question goes
from here straight to its answer. Everything else (a body that is not valid, a cookie) goes on to
the route itself, so that there is one description, one set of errors and one way in.
"""

from typing import Any, Final, final

from fastapi.security.utils import get_authorization_scheme_param
from pydantic import ValidationError
from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparsepath.server.auth import admit
from sparsepath.server.classify import ROLE, Question, answered
from sparsepath.server.problems import AsciiJson

PATH: Final = "/api/v1/classify"
_PASSED: Final = "express_passed"


def express_route(router: ASGIApp) -> BaseRoute:
    """Make the route; it must be asked before the router's own, which has the rest."""
    return _ExpressRoute(PATH, _Express(router), methods=["POST"], include_in_schema=False)


@final
class _ExpressRoute(Route):
    """Takes a request once; one that it passed on is not its own any more."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say whether a request is for this route; one with another method never is."""
        if scope["type"] != "http" or scope["method"] != "POST" or _PASSED in scope["state"]:
            return Match.NONE, {}
        match, more = super().matches(scope)
        return match, {**more, "route": self}  # logs and counters tell it by its path


@final
class _Express:
    """Answers plain questions."""

    def __init__(self, router: ASGIApp) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        request = Request(scope, receive)
        message = await receive()  # the guard hands bodies out whole
        question = None if "cookie" in request.headers else _read(message)
        if question is None:
            scope["state"][_PASSED] = True
            await self._router(scope, _again(message, receive), send)
            return
        scheme, secret = get_authorization_scheme_param(request.headers.get("authorization"))
        is_bearer = scheme.lower() == "bearer" and secret
        who = await admit(request, secret if is_bearer else None, ROLE)
        labels = await answered(question, request, request.app.state.service, who)
        await AsciiJson(labels.model_dump(mode="json"))(scope, receive, send)


def _read(message: Message) -> Question | None:
    """Read a question; None where the ordinary way must say what is wrong."""
    try:
        return Question.model_validate_json(message.get("body", b""))
    except ValidationError:
        return None


def _again(message: Message, receive: Receive) -> Receive:
    """Hand out what was read, then go on."""
    first: list[Any] = [message]

    async def read() -> Message:
        return first.pop() if first else await receive()

    return read
