"""Texts of several clients are written turn by turn, in one thread.

Each text that is being written gets a few milliseconds in turn, so that a long one does not hold
up a short one; the engine's products already use its threads.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, final

from sparsepath.server.problems import Problem

TURN_S: Final = 0.01
"""Longest time that one text has the engine, beyond the token that is begun."""


@final
class Writing:
    """One text that is being written."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._told: asyncio.Queue[str | BaseException | None] = asyncio.Queue()
        self._begun = time.monotonic()
        self.seconds = 0.0
        """From the request to the end of the text, however slowly it is read."""
        self.is_given_up = False

    async def read(self) -> AsyncIterator[str]:
        """Give the text as it comes; whoever stops reading stops the writing."""
        try:
            while (told := await self._told.get()) is not None:
                if isinstance(told, BaseException):
                    raise told
                yield told
        finally:
            self.is_given_up = True

    def turn(self) -> tuple[str, bool]:
        """Write for a moment; give what came, and whether that was the end."""
        written: list[str] = []
        end = time.monotonic() + TURN_S
        for piece in self._pieces:
            written.append(piece)
            if time.monotonic() >= end:
                return "".join(written), False
        return "".join(written), True

    def tell(self, told: str | BaseException | None) -> None:
        """Hand something to the reader; None is the end."""
        if told is None:
            self.seconds = time.monotonic() - self._begun
        self._told.put_nowait(told)


@final
class Writers:
    """A bounded queue before an engine that writes."""

    def __init__(self, *, at_once: int, capacity: int) -> None:
        """Prepare; `run` does the work.

        Args:
            at_once: texts that take turns.
            capacity: texts that may wait for a place among them.
        """
        self._at_once, self._capacity = at_once, capacity
        self._waiting: deque[Writing] = deque()
        self._active: list[Writing] = []
        self._arrived = asyncio.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._is_closing = False

    @property
    def n_waiting(self) -> int:
        """Texts that wait or are being written now."""
        return len(self._waiting) + len(self._active)

    def begin(self, pieces: Iterator[str]) -> Writing:
        """Put a text in the queue.

        Raises:
            Problem: if too many wait, or the server stops.
        """
        if self._is_closing:
            raise Problem(503, "stopping", "the server stops", fix="ask again in a moment")
        if len(self._waiting) >= self._capacity:
            raise Problem(
                429,
                "busy",
                f"{len(self._waiting)} texts wait to be written",
                fix="ask again in a moment",
                headers={"Retry-After": "2"},
            )
        writing = Writing(pieces)
        self._waiting.append(writing)
        self._arrived.set()
        return writing

    async def run(self) -> None:
        """Write until `close` was called and nobody waits."""
        try:
            while True:
                self._active = [one for one in self._active if not one.is_given_up]
                while self._waiting and len(self._active) < self._at_once:
                    self._active.append(self._waiting.popleft())
                if self._active:
                    await self._round()
                elif self._is_closing:
                    return
                else:
                    self._arrived.clear()
                    await self._arrived.wait()
        finally:
            self._pool.shutdown(wait=False)

    def close(self) -> None:
        """Take no more texts; those that were begun are still finished."""
        self._is_closing = True
        self._arrived.set()

    async def _round(self) -> None:
        """Give each text its turn."""
        loop = asyncio.get_running_loop()
        for writing in list(self._active):
            if writing.is_given_up:
                continue
            work = loop.run_in_executor(self._pool, writing.turn)
            await asyncio.wait([work])
            failure = work.exception()
            text, is_over = ("", True) if failure is not None else work.result()
            if text:
                writing.tell(text)
            if is_over:
                writing.tell(failure)
                self._active.remove(writing)
