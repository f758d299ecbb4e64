"""What a rollout needs of models that answer in this process, whatever their kind.

Read with: `serving_classifier.py` and `serving_language.py`, which are the two kinds.
"""

import asyncio
from typing import Generic, Protocol, TypeVar, final, runtime_checkable

from sparsepath.audit.rollout.model import ModelKind, ModelRef, model_key
from sparsepath.errors import ModelError, SparsepathError
from sparsepath.server.classifier import Classifier
from sparsepath.server.language import LanguageModel
from sparsepath.server.logs import log


@runtime_checkable
class Serving(Protocol):
    """A model that answers in this process."""

    @property
    def model(self) -> Classifier | LanguageModel:
        """It, loaded."""

    @property
    def cpu_s(self) -> float:
        """CPU seconds of its answers."""

    def close(self) -> "asyncio.Task[None] | None":
        """Take nothing more; give what still answers those that wait, if anything does."""


ServingT = TypeVar("ServingT", bound=Serving)
LoadedT = TypeVar("LoadedT", bound=Serving, covariant=True)


@runtime_checkable
class Kind(Protocol[LoadedT]):
    """How models of one kind are loaded, each as the one that the server was started with."""

    name: ModelKind

    async def load(self, ref: ModelRef) -> LoadedT:
        """Load a model that a rollout names; its hash is looked at by who asks.

        Raises:
            ModelError: if it cannot be loaded.
        """


def key_of(served: Serving) -> str:
    """Give what tells models apart."""
    return model_key(served.model.sha256, served.model.precision)


@final
class Loaded(Generic[ServingT]):
    """The models that are in memory, and why others are not."""

    def __init__(self, own: ServingT, kind: Kind[ServingT]) -> None:
        """Begin with the model that the server was started with, which always stays."""
        self._own, self._kind = own, kind
        self._found: dict[str, ServingT] = {key_of(own): own}
        self._closing: set[asyncio.Task[None]] = set()
        self.failed: dict[str, str] = {}
        """Why a model could not be loaded, by key."""

    def __len__(self) -> int:
        """Count them."""
        return len(self._found)

    def get(self, key: str) -> ServingT | None:
        """Give a model, if it is there."""
        return self._found.get(key)

    async def load(self, ref: ModelRef) -> None:
        """Load a model that a rollout names, unless it is there; note why it cannot be."""
        if ref.key in self._found:
            return
        try:
            served = await self._kind.load(ref)
            if key_of(served) != ref.key:
                self._end(served)
                raise ModelError(
                    f"{ref.folder} changed since the rollout began", hint="bring the folder back"
                )
        except SparsepathError as err:
            why = f"{ref.name} cannot answer: {err.message}"
            if self.failed.get(ref.key) != why:
                log("model of a rollout not loaded", why=why)
            self.failed[ref.key] = why
            return
        self.failed.pop(ref.key, None)
        self._found[ref.key] = served

    def keep(self, keys: set[str]) -> None:
        """Let other models go, once they have answered what waits."""
        for key in {*self._found} - keys - {key_of(self._own)}:
            self._end(self._found.pop(key))

    async def close(self) -> None:
        """Let all go, and wait for it."""
        for served in self._found.values():
            self._end(served)
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _end(self, served: ServingT) -> None:
        task = served.close()
        if task is not None:
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
