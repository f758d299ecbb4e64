"""Asking the new model about requests that the old one has answered already.

A bounded queue before a process of its own: when too much waits, requests are dropped and counted;
when the process fails, hangs or dies, that is counted and it is started again after a while.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol, final, runtime_checkable

from sparsepath.audit.rollout.model import ModelKind, ModelRef
from sparsepath.audit.rollout.tally import ShadowAnswer
from sparsepath.server.line_process import LineProcess, ProcessFailure, start_lines
from sparsepath.server.logs import log

CAPACITY: Final = 256
"""Requests that may wait."""

MAX_CHARACTERS: Final = 8_000_000
"""Characters of all requests that may wait."""

ANSWER_S: Final[dict[ModelKind, float]] = {"classifier": 30.0, "language-model": 120.0}
"""Seconds after which the process is given up."""

_LOAD_S: Final = 120.0
_REST_S: Final = (0.5, 1.0, 2.0, 5.0, 15.0)
"""Seconds between failures in a row and the next try."""
WORKER: Final = "sparsepath.server.shadow_worker"
"""The process."""


class Compared(NamedTuple):
    """What came of asking the new model about a request."""

    agreed: int | float
    """Texts, or shares of texts, in which it agrees with the old one."""
    ms: float
    """Its time; of a language model, a token."""
    n_tokens: int
    """Of a language model."""
    answers: Sequence[ShadowAnswer]
    """Of a classifier."""


@runtime_checkable
class Job(Protocol):
    """A request that the old model has answered."""

    @property
    def n_texts(self) -> int:
        """Texts of it."""

    @property
    def size(self) -> int:
        """Characters that it keeps in memory."""

    @property
    def asked(self) -> object:
        """What the new model gets, as JSON can hold it."""

    def compared(self, content: dict[str, Any]) -> Compared:
        """Compare what came back; any error counts as a failure of the new model."""


@final
class Shadow:
    """A queue and the process behind it."""

    def __init__(
        self, model: ModelRef, threads: int, told: Callable[[Job, Compared | None], None]
    ) -> None:
        """Prepare; `run` does the work.

        Args:
            model: the new one.
            threads: of its engine.
            told: gets every request with what came of it; None: the new one failed.
        """
        self.model, self._threads, self._told = model, threads, told
        self._waiting: deque[Job] = deque()
        self._n_characters = 0
        self._arrived = asyncio.Event()
        self._process: LineProcess | None = None
        self.dropped = 0
        """Texts that were not asked about."""
        self.cpu_s = 0.0
        """CPU seconds of its answers."""
        self.memory_bytes: int | None = None
        """Of the process."""
        self.note: str | None = None
        """Why the new model does not answer; None: it does."""

    def offer(self, job: Job) -> None:
        """Let a request wait for its turn, or drop it; never waits itself."""
        if len(self._waiting) >= CAPACITY or self._n_characters + job.size > MAX_CHARACTERS:
            self.dropped += job.n_texts
            return
        self._waiting.append(job)
        self._n_characters += job.size
        self._arrived.set()

    async def run(self) -> None:
        """Ask, until cancelled; then the process is ended."""
        n_failures = 0
        try:
            while True:
                try:
                    await self._asked_all()
                except (ProcessFailure, OSError, ValueError, LookupError, TypeError) as err:
                    self.note = f"the new model does not answer: {err}"[:300]
                    log("shadow failed", why=self.note)
                    await self._end()
                    self._give_up()
                    await asyncio.sleep(_REST_S[min(n_failures, len(_REST_S) - 1)])
                    n_failures += 1
                else:
                    n_failures = 0
        finally:
            await self._end()

    async def _asked_all(self) -> None:
        """Start the process if there is none, and ask about one request."""
        if self._process is None:
            await self._begin()
        if not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        job = self._waiting[0]
        assert self._process is not None
        content = await self._process.exchange(job.asked, ANSWER_S[self.model.kind])
        self.memory_bytes = int(content["memory_bytes"])
        self.cpu_s += float(content["cpu_s"])
        compared = None if "error" in content else job.compared(content)
        self._take()
        self._told(job, compared)

    async def _begin(self) -> None:
        """Start the process; it must have loaded the model that was meant."""
        model = self.model
        self._process = await start_lines(
            WORKER, model.kind, model.folder, model.precision, str(self._threads)
        )
        content = await self._process.read(_LOAD_S)
        if "failed" in content:
            raise ProcessFailure(str(content["failed"]))
        if content["sha256"] != self.model.sha256:
            raise ProcessFailure("its folder changed since the rollout began")
        if content["labels"] != self.model.labels:
            raise ProcessFailure("it has other labels")
        self.memory_bytes, self.note = int(content["memory_bytes"]), None

    def _take(self) -> Job:
        job = self._waiting.popleft()
        self._n_characters -= job.size
        return job

    def _give_up(self) -> None:
        """Count the request in hand as failed, so that a text that kills is not asked again."""
        if self._waiting:
            self._told(self._take(), None)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.end()
