"""The short way to `/api/v1/classify`, which carries nearly all of a server's load.

What FastAPI and Starlette do for each request takes longer than a light model's answer. A plain
question goes from the guard straight to its answer. Everything else (a body that is not valid, a
cookie) goes on to the route itself, so that there is one description, one set of errors and one
way in.
"""

from typing import Any, Final, NamedTuple, final

from fastapi.security.utils import get_authorization_scheme_param
from pydantic import ValidationError
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparsepath.errors import SparsepathError
from sparsepath.server.auth import admit
from sparsepath.server.classify import ROLE, Question, answered
from sparsepath.server.problems import Problem, bug, from_error, write_json
from sparsepath.server.service import Service

PATH: Final = "/api/v1/classify"


class _Way(NamedTuple):
    """What logs and counters call a request by."""

    path: str


_WAY: Final = _Way(PATH)


@final
class Express:
    """Answers plain questions, and passes everything else on."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        """Stand before an application; `service` answers."""
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        message = await receive()  # the guard hands bodies out whole
        headers = dict(reversed(scope["headers"]))  # of several the first
        question = None if b"cookie" in headers else _read(message)
        if question is None:
            await self._app(scope, _again(message, receive), send)
            return
        scope["route"], scope["app"] = _WAY, self._app
        try:
            content = await self._answered(question, Request(scope, receive), headers)
        except Problem as problem:
            await problem.response()(scope, receive, send)
        except SparsepathError as err:
            await from_error(err).response()(scope, receive, send)
        except Exception:
            await bug().response()(scope, receive, send)
            raise
        else:
            await _send(write_json(content), send)

    async def _answered(
        self, question: Question, request: Request, headers: dict[bytes, bytes]
    ) -> dict[str, Any]:
        """See who asks, and answer."""
        authorization = headers.get(b"authorization")
        secret = None if authorization is None else _secret(authorization)
        who = await admit(request, secret, ROLE)
        return await answered(question, request, self._service, who)


def _secret(authorization: bytes) -> str | None:
    """Give the key of a header; None where it holds none."""
    scheme, secret = get_authorization_scheme_param(authorization.decode("latin-1"))
    return secret if scheme.lower() == "bearer" and secret else None


async def _send(body: bytes, send: Send) -> None:
    """Send an answer."""
    length = str(len(body)).encode()
    headers = [(b"content-length", length), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


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
