"""`/api/v1/login`: to the provider, and back; `/api/v1/logout`."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from sparsepath.errors import RunError
from sparsepath.server.auth import desk_of
from sparsepath.server.login.attempt import MAX_NEXT, Attempt, read_attempt, screen
from sparsepath.server.login.desk import CALLBACK, Desk
from sparsepath.server.login.errors import NoRoleError, ProviderError, RefusedError, TokenError
from sparsepath.server.logs import log
from sparsepath.server.problems import Problem

Failure = Literal["lost", "refused", "unavailable", "failed"]
"""Why nobody is in: another browser or too late, no role, the provider is away, anything else."""

router = APIRouter(tags=["login"])


class LoggedOut(BaseModel):
    """Nobody is in any more."""

    is_out: bool = True


@router.get("/api/v1/login", include_in_schema=False)
async def begin(
    request: Request, next_: Annotated[str, Query(alias="next", max_length=MAX_NEXT)] = "/"
) -> Response:
    """Send a browser to the provider."""
    desk = _desk(request)
    try:
        begun = await desk.begin(request, next_)
    except ProviderError as err:
        return _failed(request, "unavailable", err, screen(next_))
    reply = RedirectResponse(begun.address, 303)
    desk.keep_attempt(reply, begun.attempt)
    return reply


@router.get(CALLBACK, include_in_schema=False)
async def come_back(
    request: Request,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4096)] = "",
) -> Response:
    """Let in who comes back from the provider."""
    desk = _desk(request)
    attempt = read_attempt(request.cookies.get(desk.attempt_cookie))
    if attempt is None or not attempt.answers(state):
        # The attempt stays: whoever sends people here must not end what they do in another tab.
        return _failed(request, "lost", "the answer is to no login of this browser")
    reply = await _let_in(request, desk, attempt, code)
    desk.drop(reply, desk.attempt_cookie)
    return reply


@router.post("/api/v1/logout")
async def leave(request: Request, response: Response) -> LoggedOut:
    """Log out; who is not in stays out."""
    desk = _desk(request)
    await desk.end(request)
    desk.drop(response, desk.cookie)
    return LoggedOut()


async def _let_in(request: Request, desk: Desk, attempt: Attempt, code: str) -> Response:
    """Let in who has a code, or say why not."""
    if not code:
        return _failed(request, "failed", "the provider gave no code", attempt.next)
    try:
        new = await desk.finish(request, attempt, code)
    except NoRoleError:
        return _failed(request, "refused", "no rule gives this person a role", attempt.next)
    except (TokenError, RefusedError) as err:
        return _failed(request, "failed", err, attempt.next)
    except (ProviderError, RunError) as err:
        return _failed(request, "unavailable", err, attempt.next)
    request.state.asker = f"login:{new.login.id}"
    reply = RedirectResponse(attempt.next, 303)
    desk.keep_login(reply, new)
    return reply


def _failed(request: Request, failure: Failure, why: object, next_: str = "/") -> Response:
    """Show the page, which says what happened; the reason is for who runs the server."""
    told = why.message if isinstance(why, RunError) else str(why)
    log("login failed", request=request.state.request_id, failure=failure, why=told[:300])
    return RedirectResponse(f"{next_}{'&' if '?' in next_ else '?'}login={failure}", 303)


def _desk(request: Request) -> Desk:
    found = desk_of(request)
    if found is None:
        raise Problem(
            404, "no_login", "nobody logs in here", fix="who runs this server may set --oidc-issuer"
        )
    return found
