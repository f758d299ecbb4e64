"""What a client is told when a request fails: one JSON shape for every status.

The shape is the one that clients of OpenAI's API read. JSON is written in ASCII, so that no text of
a user, however broken its Unicode, can make an answer fail.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from sparsepath.errors import (
    ConfigError,
    DataError,
    MissingExtraError,
    PolicyError,
    SparsepathError,
)

MAX_TOLD: Final = 5
"""Faults of one request that are told."""


@final
class Problem(Exception):  # noqa: N818 - what a client is told, not always an error
    """Ends a request with a status and an explanation."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        fix: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.fix = status, code, message, fix
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Give the content of the answer."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        told = {"message": self.message, "type": kind, "code": self.code, "param": None}
        return {"error": told | {"fix": self.fix}}

    def response(self) -> JSONResponse:
        """Give the answer."""
        return AsciiJson(self.body(), status_code=self.status, headers=self.headers)


_ENCODER: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))


def write_json(content: object) -> bytes:
    """Write JSON in ASCII."""
    return _ENCODER.encode(content).encode()


@final
class AsciiJson(JSONResponse):
    """JSON that can always be written."""

    def render(self, content: object) -> bytes:
        """Write JSON in ASCII."""
        return write_json(content)


def from_error(err: SparsepathError) -> Problem:
    """Tell a client about an error of the library."""
    if isinstance(err, PolicyError):
        return Problem(403, f"policy.{err.rule}", err.message, fix=err.hint)
    is_asked_wrong = isinstance(err, ConfigError | DataError)
    status, code = (422, "cannot_be_done") if is_asked_wrong else (503, "unavailable")
    if isinstance(err, MissingExtraError):
        status, code = 501, "not_installed"
    return Problem(status, code, err.message, fix=err.hint)


def model_changed() -> Problem:
    """Tell a client that the folder no longer holds the model that answers."""
    return Problem(
        409,
        "model_changed",
        "the model's folder changed after it was loaded",
        fix="ask who runs this server to start it again",
    )


def add_handlers(app: FastAPI) -> None:
    """Let every failure of an app end in the same shape."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(SparsepathError, _library)
    app.add_exception_handler(Exception, _bug)


async def _problem(_request: Request, err: Exception) -> JSONResponse:
    assert isinstance(err, Problem)
    return err.response()


async def _library(_request: Request, err: Exception) -> JSONResponse:
    assert isinstance(err, SparsepathError)
    return from_error(err).response()


async def _invalid(_request: Request, err: Exception) -> JSONResponse:
    """Say what is wrong, without repeating what was sent."""
    assert isinstance(err, RequestValidationError)
    faults = err.errors()
    told = [
        ".".join(str(part)[:80] for part in fault["loc"]) + f": {fault['msg'][:200]}"
        for fault in faults[:MAX_TOLD]
    ]
    if len(faults) > MAX_TOLD:
        told.append(f"and {len(faults) - MAX_TOLD} more")
    is_json = any(fault["type"] == "json_invalid" for fault in faults)
    status, code = (400, "not_json") if is_json else (422, "invalid")
    fix = "send what /openapi.json describes"
    return Problem(status, code, "; ".join(told), fix=fix).response()


async def _http(_request: Request, err: Exception) -> JSONResponse:
    assert isinstance(err, HTTPException)
    fix = "see /openapi.json for what can be asked"
    headers = err.headers or {}
    return Problem(err.status_code, "http", str(err.detail), fix=fix, headers=headers).response()


async def _bug(_request: Request, _err: Exception) -> JSONResponse:
    return bug().response()


def bug() -> Problem:
    """Tell a client about a fault of ours."""
    fix = "tell who runs this server; its log has the request's id"
    return Problem(500, "bug", "the server failed; this is its fault", fix=fix)
