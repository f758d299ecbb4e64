"""Work in threads, one piece at a time, with a bounded queue before it."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar, final

from sparsepath.server.problems import Problem

MOST_WAITING: Final = 8
"""Pieces that may wait; beyond, requests are refused with 429."""

ResultT = TypeVar("ResultT")


@final
class Turns:
    """Lets one piece of work go on at a time."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._n_waiting = 0

    async def take(self, work: Callable[[], ResultT]) -> ResultT:
        """Do something in a thread, when its turn comes.

        Raises:
            Problem: if too many wait; and what the work raises.
        """
        if self._n_waiting >= MOST_WAITING:
            raise Problem(
                429,
                "busy",
                f"{self._n_waiting} texts wait",
                fix="ask again in a moment",
                headers={"Retry-After": "2"},
            )
        self._n_waiting += 1
        try:
            async with self._turn:
                # A client that leaves does not end the thread, so the turn is kept until it ends.
                working = asyncio.ensure_future(asyncio.to_thread(work))
                try:
                    return await asyncio.shield(working)
                finally:
                    await asyncio.wait([working])
        finally:
            self._n_waiting -= 1
