"""Texts of many requests go through the engine together, in one thread of its own.

A batch leaves when the first text waited long enough and the engine is free. While the engine works
the next batch fills, and leaves when it is full, so that under load the engine goes on at once.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Generic, NamedTuple, TypeVar, final

from sparsepath.server.metrics import Metrics
from sparsepath.server.problems import Problem

AnswerT = TypeVar("AnswerT")

_MEMORY = 0.9
"""Weight of the past in the engine's usual speed."""

_AT_WORK = 2
"""Batches that the engine has at once: one that it works on, and a full one behind it."""


class _Ticket(NamedTuple):
    """A text that waits."""

    text: str
    future: "asyncio.Future[Any]"


@final
class Batcher(Generic[AnswerT]):
    """A bounded queue before an engine."""

    def __init__(
        self,
        answer: Callable[[Sequence[str]], Sequence[AnswerT]],
        *,
        limit: int,
        wait_s: float,
        capacity: int,
        metrics: Metrics,
    ) -> None:
        """Prepare; `run` does the work.

        Args:
            answer: gives one answer a text; called in one thread.
            limit: texts of a batch, at most.
            wait_s: longest wait for more texts while the engine is free.
            capacity: texts that may wait.
            metrics: counts batches and texts.
        """
        self._answer, self._limit, self._wait_s = answer, limit, wait_s
        self._capacity, self._metrics = capacity, metrics
        self._waiting: deque[_Ticket] = deque()
        self._arrived, self._filled = asyncio.Event(), asyncio.Event()
        self._changed = asyncio.Event()
        self._n_at_work = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._text_s = 0.0
        self._is_closing = False

    @property
    def n_waiting(self) -> int:
        """Texts that wait now."""
        return len(self._waiting)

    async def ask(self, texts: Sequence[str]) -> list[AnswerT]:
        """Wait for the answers to texts; whoever stops waiting takes them out of the queue.

        Raises:
            Problem: if too many wait, or the server stops.
        """
        if self._is_closing:
            raise Problem(503, "stopping", "the server stops", fix="ask again in a moment")
        if len(self._waiting) + len(texts) > self._capacity:
            raise self._busy()
        loop = asyncio.get_running_loop()
        tickets = [_Ticket(text, loop.create_future()) for text in texts]
        self._waiting.extend(tickets)
        self._arrived.set()
        if len(self._waiting) >= self._limit:
            self._filled.set()
            self._changed.set()
        try:
            if len(tickets) == 1:
                return [await tickets[0].future]
            return list(await asyncio.gather(*(ticket.future for ticket in tickets)))
        finally:
            for ticket in tickets:
                ticket.future.cancel()

    async def run(self) -> None:
        """Answer until `close` was called and nobody waits."""
        try:
            async with asyncio.TaskGroup() as working:
                while batch := await self._collected():
                    self._n_at_work += 1
                    working.create_task(self._answered(batch))
        finally:
            self._pool.shutdown(wait=False)

    def close(self) -> None:
        """Take no more texts; those that wait are still answered."""
        self._is_closing = True
        self._arrived.set()
        self._filled.set()

    async def _collected(self) -> list[_Ticket]:
        """Wait for a batch; an empty one means the end."""
        while True:
            if not self._waiting:
                if self._is_closing:
                    return []
                self._arrived.clear()
                await self._arrived.wait()
                continue
            if self._n_at_work and not self._may_follow:
                self._changed.clear()
                await self._changed.wait()
                continue
            is_full = len(self._waiting) >= self._limit
            if not is_full and self._wait_s > 0 and not self._is_closing:
                self._filled.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._filled.wait(), self._wait_s)
            batch: list[_Ticket] = []
            while self._waiting and len(batch) < self._limit:
                ticket = self._waiting.popleft()
                if not ticket.future.done():  # else its client left
                    batch.append(ticket)
            if batch:
                return batch

    @property
    def _may_follow(self) -> bool:
        """Whether a batch may leave while the engine still works on another one."""
        is_full = len(self._waiting) >= self._limit
        return self._n_at_work < _AT_WORK and self._limit > 1 and is_full

    async def _answered(self, batch: Sequence[_Ticket]) -> None:
        """Run a batch in the engine's thread, and hand out what came."""
        texts = [ticket.text for ticket in batch]
        work = asyncio.get_running_loop().run_in_executor(self._pool, self._timed, texts)
        try:
            await asyncio.wait([work])
        finally:
            self._n_at_work -= 1
            self._changed.set()
        self._metrics.texts.add(by=float(len(batch)))
        self._metrics.batches.add(float(len(batch)))
        failure = work.exception()
        for place, ticket in enumerate(batch):
            if ticket.future.done():
                continue
            if failure is not None:
                ticket.future.set_exception(failure)
            else:
                ticket.future.set_result(work.result()[place])

    def _timed(self, texts: Sequence[str]) -> Sequence[AnswerT]:
        """Answer in the engine's thread, and remember how long a text takes."""
        begun = time.perf_counter()
        try:
            return self._answer(texts)
        finally:
            now_s = (time.perf_counter() - begun) / len(texts)
            self._text_s = _MEMORY * self._text_s + (1 - _MEMORY) * now_s if self._text_s else now_s

    def _busy(self) -> Problem:
        """Say when to come back: about when those that wait now are done."""
        seconds = min(60, max(1, math.ceil(len(self._waiting) * self._text_s)))
        return Problem(
            429,
            "busy",
            f"{len(self._waiting)} texts wait, of {self._capacity} at most",
            fix=f"ask again in {seconds} s, with fewer texts",
            headers={"Retry-After": str(seconds)},
        )
