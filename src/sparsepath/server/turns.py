"""Work in threads, one piece at a time, with a bounded queue before it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar, final

from sparsepath.server.problems import Problem

MOST_WAITING: Final = 8
"""Pieces that may wait; beyond, requests are refused with 429."""

ResultT = TypeVar("ResultT")


@final
class Turns:
    """Lets one piece of work go on at a time."""

    def __init__(self, most: int | None = None, retry_s: int = 2) -> None:
        """Let nobody wait yet.

        Args:
            most: pieces that may wait; None: `MOST_WAITING`.
            retry_s: seconds after which whoever is refused may ask again.
        """
        self._turn = asyncio.Lock()
        self._n_waiting, self._most, self._retry_s = 0, most, retry_s

    @property
    def is_taken(self) -> bool:
        """Whether a piece of work goes on."""
        return self._turn.locked()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn; it lasts as long as the block.

        Raises:
            Problem: if too many wait.
        """
        if self._n_waiting >= (MOST_WAITING if self._most is None else self._most):
            raise Problem(
                429,
                "busy",
                f"{self._n_waiting} texts wait",
                fix="ask again in a moment",
                headers={"Retry-After": str(self._retry_s)},
            )
        self._n_waiting += 1
        try:
            async with self._turn:
                yield
        finally:
            self._n_waiting -= 1

    async def take(self, work: Callable[[], ResultT]) -> ResultT:
        """Do something in a thread, when its turn comes.

        Raises:
            Problem: if too many wait; and what the work raises.
        """
        async with self.turn():
            # A client that leaves does not end the thread, so the turn is kept until it ends.
            working = asyncio.ensure_future(asyncio.to_thread(work))
            try:
                return await asyncio.shield(working)
            finally:
                await asyncio.wait([working])
