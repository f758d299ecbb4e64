"""Answers reach the audit log before they reach whoever asked.

Records that come while a transaction is on its way to the disk go into the next one together, so
that waiting for the disk costs little an answer.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple, final

from sparsepath.audit.anchor import write_anchor
from sparsepath.audit.database import Database
from sparsepath.audit.log import append
from sparsepath.audit.record import Draft, Receipt
from sparsepath.errors import RunError
from sparsepath.server.logs import log
from sparsepath.server.metrics import Metrics
from sparsepath.server.problems import Problem

MAX_TOGETHER: Final = 2000
"""Records of one transaction, about."""

ANCHOR_EVERY_S: Final = 60.0


class _Entry(NamedTuple):
    drafts: Sequence[Draft]
    future: "asyncio.Future[list[Receipt]]"


@final
class Journal:
    """Writes records in a thread of its own."""

    def __init__(self, database: Database, *, keep_texts: bool, metrics: Metrics) -> None:
        """Prepare; `run` does the work.

        Args:
            database: of the log.
            keep_texts: keep users' texts beside it.
            metrics: counts records and times.
        """
        self._database, self._keep_texts, self._metrics = database, keep_texts, metrics
        self._waiting: deque[_Entry] = deque()
        self._is_busy = False
        self._ended = asyncio.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._is_closing = False
        self.failure: str | None = None
        """Why the last transaction failed; None: it did not."""

    async def write(self, drafts: Sequence[Draft]) -> list[Receipt]:
        """Wait until records are on the disk.

        Raises:
            Problem: if they cannot be written; nothing was written then.
        """
        if self._is_closing:
            raise Problem(503, "stopping", "the server stops", fix="ask again in a moment")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Receipt]] = loop.create_future()
        self._waiting.append(_Entry(drafts, future))
        if not self._is_busy:
            self._is_busy = True
            # After all that is ready now, so that answers of one batch go together.
            loop.call_soon(self._begin, loop)
        return await future

    async def run(self) -> None:
        """Write until `close` was called and nothing waits."""
        try:
            await self._ended.wait()
        finally:
            self._pool.shutdown(wait=False)

    def close(self) -> None:
        """Take no more records; those that wait are still written."""
        self._is_closing = True
        if not self._is_busy:
            self._ended.set()

    async def is_reachable(self) -> bool:
        """Say whether the database answers; after a failure, whether it takes records again."""
        if self.failure is None:
            return True
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._pool, self._touched)
        await asyncio.wait([work])
        if work.exception() is None:
            self.failure = None
        return self.failure is None

    async def keep_anchor(self, path: Path) -> None:
        """Write the newest hash to an anchor file every minute, until cancelled."""
        while True:
            await self.anchor_once(path)
            await asyncio.sleep(ANCHOR_EVERY_S)

    async def anchor_once(self, path: Path) -> None:
        """Write the newest hash to an anchor file; a failure is only logged."""
        work = asyncio.ensure_future(asyncio.to_thread(write_anchor, self._database, path))
        await asyncio.wait([work])
        if (failure := work.exception()) is not None:
            log("anchor not written", why=str(failure))

    def _touched(self) -> None:
        """Begin and end a writing transaction."""
        with self._database.writing():
            pass

    def _next(self) -> list[_Entry]:
        """Take what waits, up to a limit."""
        entries: list[_Entry] = []
        n = 0
        while self._waiting and n < MAX_TOGETHER:
            entries.append(self._waiting.popleft())
            n += len(entries[-1].drafts)
        return entries

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Write what waits in one transaction, in the journal's thread."""
        self._pool.submit(self._append, self._next(), loop)

    def _append(self, entries: Sequence[_Entry], loop: asyncio.AbstractEventLoop) -> None:
        """Write entries, and let the loop know. Its own futures would take two more turns of it."""
        begun = time.perf_counter()
        drafts = [draft for entry in entries for draft in entry.drafts]
        receipts: list[Receipt] = []
        failure: BaseException | None = None
        try:
            receipts = append(self._database, drafts, keep_texts=self._keep_texts)
        except BaseException as err:  # noqa: BLE001 - told to those who wait
            failure = err
        seconds = time.perf_counter() - begun
        loop.call_soon_threadsafe(self._written, entries, receipts, failure, seconds)

    def _written(
        self,
        entries: Sequence[_Entry],
        receipts: Sequence[Receipt],
        failure: BaseException | None,
        seconds: float,
    ) -> None:
        """Tell those who wait, and go on with those that came meanwhile."""
        self._metrics.audit_seconds.add(seconds)
        if failure is None:
            self.failure = None
            self._metrics.records.add(by=float(len(receipts)))
            self._tell(entries, receipts)
        else:
            self._fail(entries, failure)
        if self._waiting:
            self._begin(asyncio.get_running_loop())
            return
        self._is_busy = False
        if self._is_closing:
            self._ended.set()

    def _tell(self, entries: Sequence[_Entry], receipts: Sequence[Receipt]) -> None:
        """Give everybody who waits the receipts of their records."""
        given = iter(receipts)
        for entry in entries:
            own = [next(given) for _ in entry.drafts]
            if not entry.future.done():
                entry.future.set_result(own)

    def _fail(self, entries: Sequence[_Entry], failure: BaseException) -> None:
        """Refuse answers that cannot be recorded."""
        self.failure = failure.message if isinstance(failure, RunError) else type(failure).__name__
        log("audit log not written", why=self.failure)
        told = Problem(
            503,
            "audit_unavailable",
            "the audit log cannot be written, so no answer is given",
            fix="ask again in a moment; who runs this server finds the reason in its log",
            headers={"Retry-After": "5"},
        )
        for entry in entries:
            if not entry.future.done():
                entry.future.set_exception(told)
