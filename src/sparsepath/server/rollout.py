"""A server follows the rollout in its database: who answers, who answers beside, what is counted.

Read with: `arrangement.py` (which models are needed), `shadow.py` (the new one beside the old one),
`counts.py` (what is counted), `rollout_gates.py` (what rules decide).
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar, final

from sparsepath.audit.database import Database
from sparsepath.audit.record import Receipt
from sparsepath.audit.rollout.state import ModelRef, Rollout, goes_to_new, model_key, rollouts
from sparsepath.errors import ModelError, RunError, SparsepathError
from sparsepath.server.arrangement import Arrangement, arrange
from sparsepath.server.batching import Batcher
from sparsepath.server.classifier import Answer, Classifier
from sparsepath.server.counts import Counts, Used
from sparsepath.server.logs import log
from sparsepath.server.meter import Meter
from sparsepath.server.metrics import Metrics
from sparsepath.server.options import ServeOptions
from sparsepath.server.problems import Problem
from sparsepath.server.rollout_gates import GateKeeper
from sparsepath.server.shadow import Job, Reply, Shadow

LOOK_EVERY_S: Final = 0.5
SAVE_EVERY: Final = 2
"""Looks from one writing of counts to the next."""

ALIVE_EVERY: Final = 10
"""Looks after which a server that counted nothing says that it lives."""

TRY_EVERY: Final = 10
"""Looks after which a model that could not be loaded is tried again."""

ResultT = TypeVar("ResultT")


class Served(NamedTuple):
    """A model that answers in this process."""

    model: Classifier
    batcher: Batcher[Answer]
    meter: Meter
    running: "asyncio.Task[None] | None"
    """What empties its queue; None: the service does."""

    @property
    def key(self) -> str:
        """What tells models apart."""
        return model_key(self.model.sha256, self.model.precision)


@final
class Follower:
    """Keeps what answers in step with the database."""

    def __init__(
        self, own: Served, database: Database, options: ServeOptions, metrics: Metrics
    ) -> None:
        """Begin with the model that the server was started with."""
        self._own, self._database, self._options = own, database, options
        self._metrics = metrics
        self._loaded: dict[str, Served] = {own.key: own}
        self._failed: dict[str, str] = {}
        self._done: asyncio.Task[None] | None = None
        self._shadow: tuple[int, Shadow, asyncio.Task[None]] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._base = own
        self._n_looks = 0
        self.arrangement = Arrangement(None, own.key, {}, None)
        self.server = secrets.token_hex(8)
        """Id of this process among servers."""
        self.counts = Counts(self.server)
        self.gates = GateKeeper(database)
        self.blocked: str | None = None
        """Why no answer may be given; None: it may."""

    @property
    def rollout(self) -> Rollout | None:
        """The rollout that this server takes part in, as it follows it now."""
        return self.arrangement.rollout

    @property
    def base(self) -> Classifier:
        """The model that counts where nothing is split: the old one until `full`."""
        return self._base.model

    @property
    def notes(self) -> list[str]:
        """What is not as it should be."""
        shadow = None if self._shadow is None else self._shadow[1].note
        found = [self.blocked, self.arrangement.note, shadow, *self._failed.values()]
        return list(dict.fromkeys(note for note in found if note))

    async def begin(self) -> None:
        """Follow for the first time, and go on following.

        Raises:
            RunError: if the model that must answer cannot be loaded, or the database not be read.
        """
        await self.follow()
        if self._base.key != self.arrangement.base:
            raise RunError(
                self.blocked or self._failed[self.arrangement.base],
                hint="bring its folder back, or go back: sparsepath rollout roll-back",
            )
        self._done = asyncio.create_task(self._go_on())

    async def stop(self) -> None:
        """End everything that `begin` began; what waits is still answered."""
        if self._done is not None:
            self._done.cancel()
            await asyncio.gather(self._done, return_exceptions=True)
        await self._end_shadow()
        for served in [*self._loaded.values()]:
            self._unload(served)
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self._save_last()

    def choose(self, texts: list[str]) -> Served:
        """Say which model answers a request.

        Raises:
            Problem: if none may.
        """
        if self.blocked is not None:
            raise Problem(503, "rollout", self.blocked, fix="ask who runs this server")
        rollout = self.rollout
        if rollout is not None and rollout.stage == "canary":
            new = self._loaded.get(rollout.new.key)
            if new is not None and goes_to_new(rollout.id, rollout.share, texts):
                return new
        return self._base

    async def run(
        self, texts: list[str], work: Callable[[Served], Awaitable[ResultT]]
    ) -> tuple[Served, ResultT]:
        """Let the model that is chosen do some work; if the new one fails, the old one does it.

        Raises:
            Problem: if it cannot be done now.
        """
        chosen = self.choose(texts)
        try:
            return chosen, await work(chosen)
        except Problem as problem:
            other = self._other(chosen)
            if other is None or problem.code != "stopping":
                raise
        except Exception as err:  # whatever a new model does must not touch the answer
            self.counts.failed(len(texts), is_new=self._is_new(chosen))
            other = self._other(chosen)
            if other is None:
                raise
            log("new model failed", kind=type(err).__name__)
        return other, await work(other)

    def answered(
        self, by: Served, texts: list[str], labels: Sequence[str], receipts: Sequence[Receipt],
        ms: float,
    ) -> None:  # fmt: skip
        """Count a request that was answered, and let the new model answer it beside."""
        if self.rollout is None:
            return
        self.counts.request(len(texts), ms, is_new=self._is_new(by))
        if self._shadow is not None:
            seqs = [receipt.seq for receipt in receipts]
            self._shadow[1].offer(Job(texts, seqs, list(labels)))

    async def follow(self) -> None:
        """Look at the database once, and do what it says.

        Raises:
            RunError: if it cannot be read.
        """
        found = arrange(await asyncio.to_thread(rollouts, self._database), self._own.key)
        self._n_looks += 1
        tries_again = bool(self._failed) and self._n_looks % TRY_EVERY == 0
        if found == self.arrangement and not tries_again:
            return
        await self._save_last()
        for key in [*found.needed, found.base]:
            await self._load(found, key)
        self._take_up(found)
        await self._follow_shadow(found.rollout)
        for key in {*self._loaded} - {*found.needed, *found.kept, found.base, self._own.key}:
            self._unload(self._loaded.pop(key))

    async def _save_last(self) -> None:
        """Put what was counted up to now where it belongs, before the stage changes."""
        self._settle()
        try:
            await asyncio.to_thread(self.counts.save, self._database)
        except RunError as err:
            log("rollout not written", why=err.message)

    def _take_up(self, found: Arrangement) -> None:
        """Let requests go the new way."""
        needed = {*found.needed, found.base}
        self._failed = {key: why for key, why in self._failed.items() if key in needed}
        base, rollout = self._loaded.get(found.base), found.rollout
        self.blocked = None
        if base is not None:
            self._base = base
        elif rollout is None or rollout.stage != "full" or self._base.key != rollout.old.key:
            # The old one may go on until the new one can take over; nothing else may.
            self.blocked = self._failed[found.base]
        if found != self.arrangement:
            log(
                "rollout",
                id=None if rollout is None else rollout.id,
                stage=None if rollout is None else rollout.stage,
                answers=self._base.model.name,
                notes=self.notes,
            )
        self.arrangement = found
        self.counts.begin(found.rollout, self._used())

    async def _load(self, found: Arrangement, key: str) -> None:
        """Load a model that a rollout names, unless it is there; note why it cannot be."""
        if key in self._loaded:
            return
        try:
            model = await asyncio.to_thread(self._opened, found.known[key])
        except SparsepathError as err:
            why = f"{found.known[key].name} cannot answer: {err.message}"
            if self._failed.get(key) != why:
                log("model of a rollout not loaded", why=why)
            self._failed[key] = why
            return
        self._failed.pop(key, None)
        meter = Meter(model.answer, model.threads)
        batcher: Batcher[Answer] = Batcher(
            meter,
            limit=self._options.batch_texts,
            wait_s=self._options.batch_wait_ms / 1000,
            capacity=self._options.queue_texts,
            metrics=self._metrics,
        )
        running = asyncio.create_task(batcher.run())
        self._loaded[key] = Served(model, batcher, meter, running)

    def _opened(self, ref: ModelRef) -> Classifier:
        own = self._own.model
        made = Classifier(
            Path(ref.folder),
            precision=ref.precision,
            threads=own.threads,
            batch=self._options.batch_texts,
        )
        if made.sha256 != ref.sha256:
            raise ModelError(
                f"{ref.folder} changed since the rollout began", hint="bring the folder back"
            )
        return made

    def _unload(self, served: Served) -> None:
        """Let a model answer what waits, and then go."""
        if served.running is not None:
            served.batcher.close()
            self._closing.add(served.running)
            served.running.add_done_callback(self._closing.discard)

    async def _follow_shadow(self, rollout: Rollout | None) -> None:
        """Start or end the process of the shadow stage."""
        wanted = rollout.id if rollout is not None and rollout.stage == "shadow" else None
        if (None if self._shadow is None else self._shadow[0]) == wanted:
            return
        await self._end_shadow()
        if rollout is not None and wanted is not None:
            id_, labels = rollout.id, rollout.new.labels

            def told(job: Job, reply: Reply) -> None:
                self.counts.compared(id_, labels, job, reply)

            shadow = Shadow(rollout.new, self._own.model.threads, told)
            self._shadow = id_, shadow, asyncio.create_task(shadow.run())

    async def _end_shadow(self) -> None:
        if self._shadow is not None:
            task = self._shadow[2]
            self._shadow = None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _go_on(self) -> None:
        """Follow, count and keep gates, until cancelled."""
        n = 0
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            n += 1
            try:
                await self.follow()
                self._settle()
                if n % SAVE_EVERY == 0:
                    must = n % ALIVE_EVERY == 0
                    await asyncio.to_thread(self.counts.save, self._database, must=must)
                    await asyncio.to_thread(self.gates.look, self.rollout)
            except RunError as err:
                log("rollout not followed", why=err.message)

    def _settle(self) -> None:
        """Bring costs up to date."""
        rollout = self.rollout
        if rollout is None:
            return
        shadow = None if self._shadow is None else self._shadow[1]
        new = self._loaded.get(rollout.new.key)
        memory = None if new is None else new.model.loaded_bytes
        self.counts.settle(
            self._used(),
            dropped=0 if shadow is None else shadow.dropped,
            memory_bytes=memory if shadow is None else shadow.memory_bytes,
            note="; ".join(self.notes) or None,
        )

    def _used(self) -> Used:
        """Give the CPU seconds of both models since they were loaded."""
        rollout = self.rollout
        if rollout is None:
            return Used(0.0, 0.0)
        old, new = self._loaded.get(rollout.old.key), self._loaded.get(rollout.new.key)
        beside = 0.0 if self._shadow is None else self._shadow[1].cpu_s
        return Used(
            0.0 if old is None else old.meter.cpu_s,
            beside + (0.0 if new is None else new.meter.cpu_s),
        )

    def _is_new(self, served: Served) -> bool:
        return self.rollout is not None and served.key == self.rollout.new.key

    def _other(self, chosen: Served) -> Served | None:
        """Give the old model where the new one was chosen, if it is there."""
        if self.rollout is None or not self._is_new(chosen):
            return None
        return self._loaded.get(self.rollout.old.key)
