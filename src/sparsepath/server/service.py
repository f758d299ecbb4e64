"""What the routes of one server share."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, TypeVar, final

from fastapi import Depends, Request
from pydantic import JsonValue

from sparsepath.audit.database import Database
from sparsepath.audit.record import Draft
from sparsepath.server.auth import Doorkeeper
from sparsepath.server.batching import Batcher
from sparsepath.server.classifier import Answer, Classifier
from sparsepath.server.drift import DriftWatch
from sparsepath.server.folder_watch import FolderWatch
from sparsepath.server.gate import Gate
from sparsepath.server.jobs.runner import Runner
from sparsepath.server.journal import Journal
from sparsepath.server.language import LanguageModel
from sparsepath.server.library import Library
from sparsepath.server.limits import Limits
from sparsepath.server.login.desk import Desk
from sparsepath.server.logs import log
from sparsepath.server.metrics import Metrics
from sparsepath.server.neuron_reader import NeuronReader
from sparsepath.server.options import ServeOptions, check_effect, check_policy_free
from sparsepath.server.problems import Problem
from sparsepath.server.review_rules import check_labels
from sparsepath.server.rollout import Follower
from sparsepath.server.rollout_metrics import add_drift, add_gauges
from sparsepath.server.serving_classifier import Classifiers, ServedClassifier
from sparsepath.server.serving_language import LanguageModels, ServedLanguage
from sparsepath.server.shelf import Shelf
from sparsepath.server.steering.part import SteeringPart
from sparsepath.server.why.explainer import Explainer
from sparsepath.server.writing import Writers
from sparsepath.version import __version__

ResultT = TypeVar("ResultT")


@final
class Service:
    """A model that is served, its queue, its log and its counters."""

    def __init__(
        self, model: Classifier | LanguageModel, database: Database, options: ServeOptions
    ) -> None:
        self.model, self.options, self.metrics = model, options, Metrics()
        self.database, self.review = database, options.review
        self.library = Library(model.folder, options.runs, options.store)
        self.shelf = Shelf()
        desk = None if options.login is None else Desk(database, options.login)
        self.doorkeeper = Doorkeeper(database, demands_keys=options.demands_keys, desk=desk)
        self.limits = Limits(database, self.metrics)
        self.journal = Journal(database, keep_texts=options.keep_texts, metrics=self.metrics)
        self.steering = SteeringPart(model)
        subject = self.steering.subject
        check_effect(
            options, is_classifier=self.writing_model is None, is_steerable=subject is not None
        )
        self.gate: Gate | None = None
        if subject is not None:
            is_free = check_policy_free(options, subject.name)
            self.gate = Gate(database, subject, needs_policy=options.needs_policy, is_free=is_free)
        self.writers = Writers(at_once=options.writers, capacity=options.queue_writers)
        self.neurons = NeuronReader(model, self.writers)
        self.explainer = Explainer()
        self.metrics.gauge("sparsepath_queue_texts", "Texts that wait.", self._n_waiting)
        self.beside: list[Callable[[], Coroutine[Any, Any, None]]] = []
        """Work without an end that goes on while the server answers."""
        if (anchor := options.anchor) is not None:
            self.beside.append(lambda: self.journal.keep_anchor(anchor))
        self._sorting: Follower[ServedClassifier] | None = None
        self._writing: Follower[ServedLanguage] | None = None
        self.drift: DriftWatch | None = None
        """Of a classifier."""
        self.folder = FolderWatch(model, self.journal)
        self._watch()
        self.jobs = Runner(database, options.store, at_once=options.jobs)
        self.beside.append(self.jobs.run)
        self.is_leaving: Callable[[], bool] = lambda: False
        """Whether the server was told to stop, so that streams without an end should end."""
        self._walking = asyncio.Lock()
        self._is_open = False
        self._working: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    def _watch(self) -> None:
        """Follow the model's folder, rollouts and, of a classifier, drift."""
        self.beside.append(self.folder.run)
        if isinstance(self.model, LanguageModel):
            models = LanguageModels(self.model.threads)
            self._writing = Follower(models.served(self.model), models, self.database)
        else:
            check_labels(self.options.review, self.model.labels)
            kind = Classifiers(self.model.threads, self.options, self.metrics)
            self._sorting = Follower(kind.served(self.model), kind, self.database)
            self.drift = DriftWatch(self._sorting, self.database, self.options.drift_window)
            self.beside.append(self.drift.run)
            add_drift(self.metrics, self.drift)
        add_gauges(self.metrics, self.follower, self.folder)

    @property
    def follower(self) -> Follower[ServedClassifier] | Follower[ServedLanguage]:
        """What follows rollouts."""
        found = self._sorting or self._writing
        assert found is not None
        return found

    @property
    def batcher(self) -> Batcher[Answer]:
        """The queue of the classifier that the server was started with.

        Raises:
            Problem: if a language model is served.
        """
        if self._sorting is None:
            raise _other("no classifier", "/v1/completions")
        return self._sorting.own.batcher

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken, and everything that answers them runs."""
        return self._is_open and not any(task.done() for task in self._working)

    @property
    def answering(self) -> Classifier | LanguageModel:
        """The model that counts now."""
        return self.follower.base.model

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
    def notes(self) -> list[str]:
        """What is not as it should be, though answers are given."""
        return [*([] if self.folder.note is None else [self.folder.note]), *self.follower.notes]

    @property
    def writing(self) -> Follower[ServedLanguage]:
        """What knows which language model answers.

        Raises:
            Problem: if none is served.
        """
        if self._writing is None:
            raise _other("no language model", "/api/v1/classify")
        return self._writing

    @property
    def followed(self) -> Follower[ServedClassifier]:
        """What knows which classifier answers.

        Raises:
            Problem: if none is served, or it may not answer.
        """
        if self._sorting is None:
            raise _other("no classifier", "/v1/completions")
        if self.options.strict_model and self.folder.is_changed:
            raise Problem(
                503,
                "model_changed",
                "the model's folder changed after it was loaded",
                fix="ask who runs this server",
            )
        return self._sorting

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

    async def alone(self, work: Callable[[], ResultT]) -> ResultT:
        """Do something long with the log in a thread, one such thing at a time.

        Raises:
            Problem: if another one is going on.
        """
        if self._walking.locked():
            raise Problem(
                429,
                "busy",
                "the log is being looked through already",
                fix="ask again in a moment",
                headers={"Retry-After": "5"},
            )
        async with self._walking:
            # A client that leaves does not end the thread, so the lock is kept until it ends.
            working = asyncio.ensure_future(asyncio.to_thread(work))
            try:
                return await asyncio.shield(working)
            finally:
                await asyncio.wait([working])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer inside the block; at its end what waits is still answered and recorded."""
        queues = [self.writers.run()]
        if self._sorting is not None:
            queues.append(self._sorting.own.batcher.run())
        working = [asyncio.create_task(queue) for queue in queues]
        writing = asyncio.create_task(self.journal.run())
        self._working = [*working, writing]
        facts: dict[str, JsonValue] = {
            "model": self.model.name,
            "sha256": self.model.sha256,
            "sparsepath": __version__,
            "needs_policy": self.options.needs_policy,
            "policy_free": self.options.policy_free,
            **self.options.review.recorded,
        }
        await self.journal.write([Draft(kind="server.start", body=facts)])
        await self.follower.begin()
        beside = [asyncio.create_task(begin()) for begin in self.beside]
        self._is_open = True
        try:
            yield
        finally:
            self._is_open = False
            if self._sorting is not None:
                self._sorting.own.batcher.close()
            self.writers.close()
            await asyncio.gather(*working)
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.follower.stop()
            with suppress(Problem):
                await self.journal.write([Draft(kind="server.stop", body=facts)])
            await self.explainer.close()
            await self.jobs.close()
            await self.limits.close()
            self.journal.close()
            await writing
            self.shelf.close()
            for task in beside:
                task.cancel()
            if self.options.anchor is not None:
                await self.journal.anchor_once(self.options.anchor)
            log("stopped")

    def _n_waiting(self) -> float:
        n_texts = 0 if self._sorting is None else self._sorting.own.batcher.n_waiting
        return float(n_texts + self.writers.n_waiting)


def _other(lacking: str, other: str) -> Problem:
    return Problem(404, "not_served", f"{lacking} is served here", fix=f"ask {other} instead")


async def _service(request: Request) -> Service:
    found = request.app.state.service
    assert isinstance(found, Service)
    return found


Served = Annotated[Service, Depends(_service)]
"""The service, as a route's parameter."""
