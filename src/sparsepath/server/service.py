"""What the routes of one server share."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, final

from fastapi import Depends, Request

from sparsepath.audit.database import Database
from sparsepath.audit.record import Draft
from sparsepath.server.auth import Doorkeeper
from sparsepath.server.batching import Batcher
from sparsepath.server.classifier import Answer, Classifier
from sparsepath.server.journal import Journal
from sparsepath.server.language import LanguageModel
from sparsepath.server.logs import log
from sparsepath.server.metrics import Metrics
from sparsepath.server.options import ServeOptions
from sparsepath.server.problems import Problem
from sparsepath.server.writing import Writers
from sparsepath.version import __version__


@final
class Service:
    """A model that is served, its queue, its log and its counters."""

    def __init__(
        self, model: Classifier | LanguageModel, database: Database, options: ServeOptions
    ) -> None:
        self.model, self.options, self.metrics = model, options, Metrics()
        self.doorkeeper = Doorkeeper(database, demands_keys=options.demands_keys)
        self.journal = Journal(database, keep_texts=options.keep_texts, metrics=self.metrics)
        self.batcher: Batcher[Answer] = Batcher(
            model.answer if isinstance(model, Classifier) else _nothing,
            limit=options.batch_texts,
            wait_s=options.batch_wait_ms / 1000,
            capacity=options.queue_texts,
            metrics=self.metrics,
        )
        self.writers = Writers(at_once=options.writers, capacity=options.queue_writers)
        self.metrics.gauge("sparsepath_queue_texts", "Texts that wait.", self._n_waiting)
        self.beside: list[Callable[[], Coroutine[Any, Any, None]]] = []
        """Work without an end that goes on while the server answers."""
        if (anchor := options.anchor) is not None:
            self.beside.append(lambda: self.journal.keep_anchor(anchor))
        self._is_open = False
        self._working: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken, and everything that answers them runs."""
        return self._is_open and not any(task.done() for task in self._working)

    @property
    def writing_model(self) -> LanguageModel | None:
        """The language model, if one is served."""
        return self.model if isinstance(self.model, LanguageModel) else None

    @property
    def language(self) -> LanguageModel:
        """The language model.

        Raises:
            Problem: if a classifier is served.
        """
        if isinstance(self.model, LanguageModel):
            return self.model
        raise _other("no language model", "/api/v1/classify")

    @property
    def classifier(self) -> Classifier:
        """The classifier.

        Raises:
            Problem: if a language model is served.
        """
        if isinstance(self.model, Classifier):
            return self.model
        raise _other("no classifier", "/v1/completions")

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let work go on by itself; the server waits for it before it stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer inside the block; at its end what waits is still answered and recorded."""
        working = [asyncio.create_task(part.run()) for part in (self.batcher, self.writers)]
        writing = asyncio.create_task(self.journal.run())
        self._working = [*working, writing]
        facts = {"model": self.model.name, "sha256": self.model.sha256, "sparsepath": __version__}
        await self.journal.write([Draft(kind="server.start", body=facts)])
        beside = [asyncio.create_task(begin()) for begin in self.beside]
        self._is_open = True
        try:
            yield
        finally:
            self._is_open = False
            self.batcher.close()
            self.writers.close()
            await asyncio.gather(*working)
            await asyncio.gather(*self._tasks, return_exceptions=True)
            with suppress(Problem):
                await self.journal.write([Draft(kind="server.stop", body=facts)])
            self.journal.close()
            await writing
            for task in beside:
                task.cancel()
            if self.options.anchor is not None:
                await self.journal.anchor_once(self.options.anchor)
            log("stopped")

    def _n_waiting(self) -> float:
        return float(self.batcher.n_waiting + self.writers.n_waiting)


def _nothing(_texts: Sequence[str]) -> list[Answer]:
    """Stand in for a classifier where none is served; never asked."""
    return []


def _other(lacking: str, other: str) -> Problem:
    return Problem(404, "not_served", f"{lacking} is served here", fix=f"ask {other} instead")


async def _service(request: Request) -> Service:
    found = request.app.state.service
    assert isinstance(found, Service)
    return found


Served = Annotated[Service, Depends(_service)]
"""The service, as a route's parameter."""
