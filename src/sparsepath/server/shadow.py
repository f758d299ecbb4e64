"""Asking the new model about requests that the old one has answered already.

A bounded queue before a process of its own: when too much waits, requests are dropped and counted;
when the process fails, hangs or dies, that is counted and it is started again after a while.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, final

import numpy as np

from sparsepath.audit.rollout.state import ModelRef
from sparsepath.runtime.base import FloatArray
from sparsepath.server.logs import log

CAPACITY: Final = 256
"""Requests that may wait."""

MAX_CHARACTERS: Final = 8_000_000
"""Characters of all requests that may wait."""

ANSWER_S: Final = 30.0
"""Seconds after which the process is given up."""

_LOAD_S: Final = 120.0
_REST_S: Final = (0.5, 1.0, 2.0, 5.0, 15.0)
"""Seconds between failures in a row and the next try."""
_LINE: Final = 1 << 26
"""Bytes of a reply, at most."""


class Job(NamedTuple):
    """A request that the old model has answered."""

    texts: list[str]
    seqs: list[int]
    """Numbers of the decisions' records."""
    labels: list[str]
    """What the old model said."""


class Reply(NamedTuple):
    """What the new model said, or that it did not."""

    rows: list[FloatArray] | None
    """Probabilities, [labels] for each text; None: it failed."""
    ms: float


class _Failure(Exception):  # noqa: N818 - ends a process, and is counted
    """The process is of no use any more."""


@final
class Shadow:
    """A queue and the process behind it."""

    def __init__(self, model: ModelRef, threads: int, told: Callable[[Job, Reply], None]) -> None:
        """Prepare; `run` does the work.

        Args:
            model: the new one.
            threads: of its engine.
            told: gets every request with what came of it.
        """
        self.model, self._threads, self._told = model, threads, told
        self._waiting: deque[Job] = deque()
        self._n_characters = 0
        self._arrived = asyncio.Event()
        self._process: Process | None = None
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
        size = sum(map(len, job.texts))
        if len(self._waiting) >= CAPACITY or self._n_characters + size > MAX_CHARACTERS:
            self.dropped += len(job.texts)
            return
        self._waiting.append(job)
        self._n_characters += size
        self._arrived.set()

    async def run(self) -> None:
        """Ask, until cancelled; then the process is ended."""
        n_failures = 0
        try:
            while True:
                try:
                    await self._asked_all()
                except (_Failure, OSError, ValueError, KeyError, TypeError) as err:
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
        content = await self._exchanged(job.texts, ANSWER_S)
        self._take()
        self.memory_bytes = int(content["memory_bytes"])
        rows: list[FloatArray] | None = None
        if "probabilities" in content:
            rows = [np.array(row, np.float32) for row in content["probabilities"]]
            if len(rows) != len(job.texts):
                raise _Failure("it answered another number of texts")
        self.cpu_s += float(content["cpu_s"])
        self._told(job, Reply(rows, float(content["ms"])))

    async def _begin(self) -> None:
        """Start the process; it must have loaded the model that was meant."""
        command = [sys.executable, "-P", "-m", "sparsepath.server.shadow_worker"]
        command += [self.model.folder, self.model.precision, str(self._threads)]
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=asyncio.subprocess.DEVNULL, limit=_LINE
        )
        content = await self._read(_LOAD_S)
        if "failed" in content:
            raise _Failure(str(content["failed"]))
        if content["sha256"] != self.model.sha256:
            raise _Failure("its folder changed since the rollout began")
        if content["labels"] != self.model.labels:
            raise _Failure("it has other labels")
        self.memory_bytes, self.note = int(content["memory_bytes"]), None

    async def _exchanged(self, texts: Sequence[str], seconds: float) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        reading = asyncio.create_task(self._read(seconds))
        try:
            self._process.stdin.write(json.dumps(texts).encode() + b"\n")
            await self._process.stdin.drain()
            return await reading
        except RuntimeError as err:  # what uvloop says where asyncio says ConnectionResetError
            raise _Failure("its process ended") from err
        finally:
            reading.cancel()

    async def _read(self, seconds: float) -> dict[str, Any]:
        """Read a line of the process.

        Raises:
            _Failure: if none comes.
        """
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), seconds)
        except TimeoutError as err:
            raise _Failure(f"nothing for {seconds:g} s") from err
        if not line.endswith(b"\n"):
            raise _Failure("its process ended")
        content = json.loads(line)
        if not isinstance(content, dict):
            raise _Failure("it said something else than agreed")
        return content

    def _take(self) -> Job:
        job = self._waiting.popleft()
        self._n_characters -= sum(map(len, job.texts))
        return job

    def _give_up(self) -> None:
        """Count the request in hand as failed, so that a text that kills is not asked again."""
        if self._waiting:
            self._told(self._take(), Reply(None, 0.0))

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            if process.stdin is not None:
                process.stdin.close()
