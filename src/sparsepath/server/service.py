"""What the routes of one server share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, final

from fastapi import Depends, Request

from sparsepath.audit.database import Database
from sparsepath.audit.record import Draft
from sparsepath.server.auth import Doorkeeper
from sparsepath.server.batching import Batcher
from sparsepath.server.classifier import Answer, Classifier
from sparsepath.server.journal import Journal
from sparsepath.server.logs import log
from sparsepath.server.metrics import Metrics
from sparsepath.server.options import ServeOptions
from sparsepath.server.problems import Problem
from sparsepath.version import __version__


@final
class Service:
    """A model that is served, its queue, its log and its counters."""

    def __init__(self, model: Classifier, database: Database, options: ServeOptions) -> None:
        self.model, self.options, self.metrics = model, options, Metrics()
        self.doorkeeper = Doorkeeper(database, demands_keys=options.demands_keys)
        self.journal = Journal(database, keep_texts=options.keep_texts, metrics=self.metrics)
        self.batcher: Batcher[Answer] = Batcher(
            model.answer,
            limit=options.batch_texts,
            wait_s=options.batch_wait_ms / 1000,
            capacity=options.queue_texts,
            metrics=self.metrics,
        )
        self.metrics.gauge(
            "sparsepath_queue_texts", "Texts that wait.", lambda: float(self.batcher.n_waiting)
        )
        self.is_ready = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer inside the block; at its end what waits is still answered and recorded."""
        working = asyncio.create_task(self.batcher.run())
        writing = asyncio.create_task(self.journal.run())
        facts = {"model": self.model.name, "sha256": self.model.sha256, "sparsepath": __version__}
        await self.journal.write([Draft(kind="server.start", body=facts)])
        anchoring = None
        if self.options.anchor is not None:
            anchoring = asyncio.create_task(self.journal.keep_anchor(self.options.anchor))
        self.is_ready = True
        try:
            yield
        finally:
            self.is_ready = False
            self.batcher.close()
            await working
            with suppress(Problem):
                await self.journal.write([Draft(kind="server.stop", body=facts)])
            self.journal.close()
            await writing
            if anchoring is not None:
                anchoring.cancel()
            log("stopped")


async def _service(request: Request) -> Service:
    found = request.app.state.service
    assert isinstance(found, Service)
    return found


Served = Annotated[Service, Depends(_service)]
"""The service, as a route's parameter."""
