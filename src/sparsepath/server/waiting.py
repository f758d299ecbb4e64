"""Waiting for an answer no longer than its client does, and than is allowed."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from sparsepath.server.problems import Problem

AnswerT = TypeVar("AnswerT")


async def while_connected(
    request: Request, work: Coroutine[Any, Any, AnswerT], timeout_s: float
) -> AnswerT:
    """Wait for work; cancel it when the client leaves or the time is over.

    Raises:
        Problem: in these two cases; or what the work raises.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(disconnected(request))
    try:
        await asyncio.wait(
            {working, leaving}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        if working.done():
            return working.result()
        if leaving.done():
            raise Problem(499, "gone", "the client left", fix="stay until the answer comes")
        raise Problem(
            504,
            "timeout",
            f"no answer within {timeout_s:g} s",
            fix="send fewer or shorter texts",
            headers={"Retry-After": "5"},
        )
    finally:
        working.cancel()
        leaving.cancel()


async def disconnected(request: Request) -> None:
    """Return when the client is gone; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
