"""Explanations in a process of their own: torch, which they need, stays out of the server's.

The process is started when it is first asked, asked one text at a time, and ended when nobody has
asked for a while.
"""

import asyncio
import importlib.util
from typing import Any, Final, final

from sparsepath.errors import MissingExtraError
from sparsepath.server.line_process import LineProcess, ProcessFailure, start_lines
from sparsepath.server.logs import log
from sparsepath.server.problems import Problem
from sparsepath.server.turns import Turns

WORKER: Final = "sparsepath.evaluate.explain_worker"

MOST_WAITING: Final = 4
"""Texts that may wait; beyond, requests are refused with 429."""

ANSWER_S: Final = 120.0
"""Seconds after which an explanation is given up."""

IDLE_S: Final = 300.0
"""Seconds without a text after which the process is ended."""

_NEEDED: Final = ("torch", "transformers")


def can_explain() -> bool:
    """Say whether what explanations need is installed."""
    return all(importlib.util.find_spec(name) is not None for name in _NEEDED)


@final
class Explainer:
    """Explains texts, one at a time."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        """Prepare; nothing is started.

        Args:
            idle_s: seconds without a text after which the process is ended.
        """
        self._turns, self._idle_s = Turns(MOST_WAITING, retry_s=10), idle_s
        self._process: LineProcess | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def explain(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Explain a text when its turn comes; cancelled, the process is ended.

        Args:
            asked: what `evaluate/explain_worker.py` reads.

        Returns:
            What it writes.

        Raises:
            MissingExtraError: if torch is not installed.
            Problem: if too many wait, the text cannot be explained, or the process fails.
        """
        if not can_explain():
            raise MissingExtraError(
                "what is inside a model is read with torch, which this server lacks", extra="train"
            )
        async with self._turns.turn():
            content = await self._asked(asked)
        if "error" not in content:
            return content
        status, code = (
            (422, "cannot_be_done") if content["is_asked_wrong"] else (503, "unavailable")
        )
        raise Problem(status, code, content["error"], fix=content["fix"])

    async def close(self) -> None:
        """End the process."""
        self._stay()
        process, self._process = self._process, None
        if process is not None:
            await process.end()

    async def _asked(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Ask the process, which is started if there is none; one that ended is started again."""
        self._stay()
        was_there = self._process is not None
        try:
            try:
                content = await self._exchanged(asked)
            except ProcessFailure:
                await self.close()
                if not was_there:
                    raise
                content = await self._exchanged(asked)
        except (ProcessFailure, OSError, ValueError) as err:
            await self.close()
            log("explanation failed", why=str(err)[:300])
            raise Problem(
                503,
                "unavailable",
                "the explanation was not finished; this machine may lack memory",
                fix="ask again, with a shorter text",
            ) from err
        except asyncio.CancelledError:  # its reply would be taken for the next one's
            await self.close()
            raise
        self._ending = asyncio.get_running_loop().call_later(self._idle_s, self._rest)
        return content

    async def _exchanged(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self._process is None:
            self._process = await start_lines(WORKER)
        return await self._process.exchange(asked, ANSWER_S)

    def _stay(self) -> None:
        """Forget that the process was to be ended."""
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None

    def _rest(self) -> None:
        """End the process, since nobody asks."""
        self._ending = None
        if not self._turns.is_taken:
            task = asyncio.create_task(self.close())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
