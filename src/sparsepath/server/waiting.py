"""Waiting for an answer no longer than its client does, and than is allowed."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from sparsepath.server.connections import line_of
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
        raise _gone() if leaving.done() else _too_long(timeout_s)
    finally:
        working.cancel()
        leaving.cancel()


async def while_reachable(
    request: Request, work: Coroutine[Any, Any, AnswerT], timeout_s: float
) -> AnswerT:
    """Wait like `while_connected`, for work that ends at once when it is cancelled.

    It makes no tasks, which take longer than a light model's answer.

    Raises:
        Problem: as `while_connected`.
    """
    line = line_of(request.scope)
    if line is None:
        return await while_connected(request, work, timeout_s)
    if line.is_cut:
        work.close()
        raise _gone()
    task = asyncio.current_task()
    assert task is not None
    ends: list[Problem] = []

    def end(why: Problem) -> None:
        if not ends:
            ends.append(why)
            task.cancel()

    def leave() -> None:
        end(_gone())

    others = task.cancelling()
    timer = asyncio.get_running_loop().call_later(timeout_s, lambda: end(_too_long(timeout_s)))
    line.watchers.add(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if ends and task.cancelling() == others + 1:
            raise ends[0] from None
        raise
    finally:
        timer.cancel()
        line.watchers.discard(leave)
        if ends:
            task.uncancel()


async def disconnected(request: Request) -> None:
    """Return when the client is gone; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _gone() -> Problem:
    return Problem(499, "gone", "the client left", fix="stay until the answer comes")


def _too_long(timeout_s: float) -> Problem:
    return Problem(
        504,
        "timeout",
        f"no answer within {timeout_s:g} s",
        fix="send fewer or shorter texts",
        headers={"Retry-After": "5"},
    )
