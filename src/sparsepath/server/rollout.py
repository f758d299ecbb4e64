"""A server follows the rollout in its database: who answers, who answers beside, what is counted.

Read with: `arrangement.py` (which models are needed), `serving.py` (those in memory), `shadow.py`
(the new one beside the old one), `counts.py` (what is counted), `rollout_gates.py` (what rules
decide).
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar, final

from sparsepath.audit.database import Database
from sparsepath.audit.rollout.state import Rollout, goes_to_new, rollouts
from sparsepath.errors import RunError, SparsepathError
from sparsepath.server.arrangement import Arrangement, arrange
from sparsepath.server.counts import Counts, Used
from sparsepath.server.logs import log
from sparsepath.server.problems import Problem
from sparsepath.server.rollout_gates import GateKeeper
from sparsepath.server.serving import Kind, Loaded, ServingT, key_of
from sparsepath.server.shadow import Compared, Job, Shadow

LOOK_EVERY_S: Final = 0.5
SAVE_EVERY: Final = 2
"""Looks from one writing of counts to the next."""

ALIVE_EVERY: Final = 10
"""Looks after which a server that counted nothing says that it lives."""

TRY_EVERY: Final = 10
"""Looks after which a model that could not be loaded is tried again."""

ResultT = TypeVar("ResultT")


@final
class Follower(Generic[ServingT]):
    """Keeps what answers in step with the database."""

    def __init__(self, own: ServingT, kind: Kind[ServingT], database: Database) -> None:
        """Begin with the model that the server was started with."""
        self._kind, self._database = kind, database
        self.own = self.base = own
        """The model that the server was started with, and the one that counts where nothing is
        split: the old one until `full`."""
        self.loaded = Loaded(own, kind)
        self._done: asyncio.Task[None] | None = None
        self._shadow: tuple[int, Shadow, asyncio.Task[None]] | None = None
        self._n_looks = 0
        self.arrangement = Arrangement(None, key_of(own), {}, None)
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
    def notes(self) -> list[str]:
        """What is not as it should be."""
        shadow = None if self._shadow is None else self._shadow[1].note
        found = [self.blocked, self.arrangement.note, shadow, *self.loaded.failed.values()]
        return list(dict.fromkeys(note for note in found if note))

    async def begin(self) -> None:
        """Follow for the first time, and go on following.

        Raises:
            RunError: if the model that must answer cannot be loaded, or the database not be read.
        """
        await self.follow()
        wanted = self.arrangement.base
        if key_of(self.base) != wanted:
            raise RunError(
                self.blocked or self.loaded.failed[wanted],
                hint="bring its folder back, or go back: sparsepath rollout roll-back",
            )
        self._done = asyncio.create_task(self._go_on())

    async def stop(self) -> None:
        """End everything that `begin` began; what waits is still answered."""
        if self._done is not None:
            self._done.cancel()
            await asyncio.gather(self._done, return_exceptions=True)
        await self._end_shadow()
        await self.loaded.close()
        await self._save_last()

    def choose(self, texts: list[str]) -> ServingT:
        """Say which model answers a request, of which texts alone decide.

        Raises:
            Problem: if none may.
        """
        if self.blocked is not None:
            raise Problem(503, "rollout", self.blocked, fix="ask who runs this server")
        rollout = self.rollout
        if rollout is not None and rollout.stage == "canary":
            new = self.loaded.get(rollout.new.key)
            if new is not None and goes_to_new(rollout.id, rollout.share, texts):
                return new
        return self.base

    async def run(
        self, texts: list[str], work: Callable[[ServingT], Awaitable[ResultT]]
    ) -> tuple[ServingT, ResultT]:
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
        except SparsepathError:
            other = self._other(chosen)
            if other is None:
                raise
            # What the old one refuses too is the request's fault.
            result = await work(other)
            self.failed(chosen, len(texts))
            return other, result
        except Exception as err:  # whatever a new model does must not touch the answer
            self.failed(chosen, len(texts))
            other = self._other(chosen)
            if other is None:
                raise
            log("new model failed", kind=type(err).__name__)
        return other, await work(other)

    def answered(self, by: ServingT, n_texts: int, ms: float, n_tokens: int = 0) -> None:
        """Count a request that was answered, with its time, of a language model a token."""
        if self.rollout is not None:
            self.counts.request(n_texts, ms, n_tokens, is_new=self._is_new(by))

    def failed(self, by: ServingT, n_texts: int) -> None:
        """Count texts in which a model failed."""
        self.counts.failed(n_texts, is_new=self._is_new(by))

    @property
    def beside(self) -> Rollout | None:
        """The rollout in whose shadow stage the new model is asked beside; None: there is none."""
        return None if self._shadow is None else self.rollout

    def offer(self, job: Job) -> None:
        """Ask the new model about a request that was answered, where it is asked beside."""
        if self._shadow is not None:
            self._shadow[1].offer(job)

    async def follow(self) -> None:
        """Look at the database once, and do what it says.

        Raises:
            RunError: if it cannot be read.
        """
        known = await asyncio.to_thread(rollouts, self._database)
        ours = [one for one in known if one.new.kind == self._kind.name]
        found = arrange(ours, key_of(self.own))
        self._n_looks += 1
        tries_again = bool(self.loaded.failed) and self._n_looks % TRY_EVERY == 0
        if found == self.arrangement and not tries_again:
            return
        await self._save_last()
        for key in dict.fromkeys([*found.needed, found.base]):
            if key in found.known:
                await self.loaded.load(found.known[key])
        self._take_up(found)
        await self._follow_shadow(found.rollout)
        self.loaded.keep({*found.needed, *found.kept, found.base})

    async def _save_last(self) -> None:
        """Put what was counted up to now where it belongs, before the stage changes."""
        self._settle()
        try:
            await asyncio.to_thread(self.counts.save, self._database)
        except RunError as err:
            log("rollout not written", why=err.message)

    def _take_up(self, found: Arrangement) -> None:
        """Let requests go the new way."""
        needed, failed = {*found.needed, found.base}, self.loaded.failed
        self.loaded.failed = {key: why for key, why in failed.items() if key in needed}
        base, rollout = self.loaded.get(found.base), found.rollout
        self.blocked = None
        if base is not None:
            self.base = base
        elif rollout is None or rollout.stage != "full" or key_of(self.base) != rollout.old.key:
            # The old one may go on until the new one can take over; nothing else may.
            self.blocked = failed[found.base]
        if found != self.arrangement:
            log(
                "rollout",
                id=None if rollout is None else rollout.id,
                stage=None if rollout is None else rollout.stage,
                answers=self.base.model.name,
                notes=self.notes,
            )
        self.arrangement = found
        self.counts.begin(found.rollout, self._used())

    async def _follow_shadow(self, rollout: Rollout | None) -> None:
        """Start or end the process of the shadow stage."""
        wanted = rollout.id if rollout is not None and rollout.stage == "shadow" else None
        if (None if self._shadow is None else self._shadow[0]) == wanted:
            return
        await self._end_shadow()
        if rollout is not None and wanted is not None:
            id_ = rollout.id

            def told(job: Job, compared: Compared | None) -> None:
                self.counts.compared(id_, job.n_texts, compared)

            shadow = Shadow(rollout.new, self.own.model.threads, told)
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
        new = self.loaded.get(rollout.new.key)
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
        old, new = self.loaded.get(rollout.old.key), self.loaded.get(rollout.new.key)
        beside = 0.0 if self._shadow is None else self._shadow[1].cpu_s
        return Used(
            0.0 if old is None else old.cpu_s,
            beside + (0.0 if new is None else new.cpu_s),
        )

    def _is_new(self, served: ServingT) -> bool:
        return self.rollout is not None and key_of(served) == self.rollout.new.key

    def _other(self, chosen: ServingT) -> ServingT | None:
        """Give the old model where the new one was chosen, if it is there."""
        if self.rollout is None or not self._is_new(chosen):
            return None
        return self.loaded.get(self.rollout.old.key)
