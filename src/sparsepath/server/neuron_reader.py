"""A neuron in a text, by the engine that answers: of a language model or of a sparse classifier."""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple, final

import numpy as np
from tokenizers import Encoding

from sparsepath.artifacts.neuron import Neuron
from sparsepath.runtime.base import FloatArray
from sparsepath.runtime.language.tracing import Trace
from sparsepath.runtime.watched import Watched, WatchedClassifier
from sparsepath.server.classifier import Classifier
from sparsepath.server.language import LanguageModel
from sparsepath.server.snapshot import private_copy
from sparsepath.server.turns import Turns
from sparsepath.server.writing import Writers

MAX_TOKENS = 256
"""Tokens of a text that are read; the rest is left out, and that is told."""

AT_ONCE = 32
"""Tokens that a language model reads before other texts have their turn."""


class Fired(NamedTuple):
    """A neuron in a text."""

    tokens: list[str]
    """Without special ones, joined they are the text that was read."""
    is_special: list[bool]
    """Whether each stands for no part of the text."""
    values: list[float]
    """At each token; 0 where it is silent."""
    n_left_out: int
    """Tokens at the end that were not read."""


@final
class NeuronReader:
    """Reads texts with the model that is served; each text is forgotten."""

    def __init__(self, model: Classifier | LanguageModel, writers: Writers) -> None:
        self._model, self._writers = model, writers
        self._turns = Turns()
        self._watched: WatchedClassifier | None = None

    async def read(self, neuron: Neuron, text: str) -> Fired:
        """Read a text between those that are answered or written.

        Args:
            neuron: that the model has.
            text: any.

        Raises:
            ConfigError: if its site is not sparse.
            ModelError: if the model's neurons cannot be read.
            Problem: if too many texts wait.
        """
        # Lone surrogates, from broken input, have no UTF-8 form.
        clean = text.encode("utf-8", "replace").decode("utf-8")
        if isinstance(self._model, LanguageModel):
            found = await self._written(self._model, neuron, clean)
        else:
            model = self._model
            found = await self._turns.take(lambda: self._classified(model, neuron, clean))
        values: FloatArray = found.values[:MAX_TOKENS]
        if neuron.side:
            # What fires the neuron of the other sign is silence.
            values = np.where(values * neuron.sign > 0, values, np.float32(0))
        tokens, is_special = _pieces(found.encoding, clean)
        told = [round(float(value), 6) for value in values]
        n = len(told)
        return Fired(tokens[:n], is_special[:n], told, found.n_tokens - n)

    async def _written(self, model: LanguageModel, neuron: Neuron, text: str) -> Watched:
        encoding = await asyncio.to_thread(model.engine.tokenizer.encode, text)
        ids = encoding.ids[: min(MAX_TOKENS, model.context)]
        values = np.zeros(len(ids), np.float32)
        if ids:
            trace = Trace(neuron.site)
            async for _ in self._writers.begin(_reading(model, ids, trace)).read():
                pass
            kept = trace.kept(neuron.layer, neuron.site)
            at = np.repeat(np.arange(len(ids)), np.diff(kept.starts))
            is_it = kept.indices == neuron.index
            values[at[is_it]] = kept.values[is_it]
        return Watched(encoding, values, len(encoding.ids))

    def _classified(self, model: Classifier, neuron: Neuron, text: str) -> Watched:
        if self._watched is None:
            with private_copy([model.folder]) as copied:
                self._watched = WatchedClassifier(
                    copied, precision=model.precision, threads=model.threads
                )
        return self._watched.fired(text, neuron)


def _reading(model: LanguageModel, ids: list[int], trace: Trace) -> Iterator[str]:
    """Read some tokens a turn."""
    cache = model.engine.cache(len(ids), trace=trace)
    for start in range(0, len(ids), AT_ONCE):
        model.engine.read(ids[start : start + AT_ONCE], cache, 1)
        yield ""


def _pieces(encoding: Encoding, text: str) -> tuple[list[str], list[bool]]:
    """Cut a text into tokens; a character of several tokens belongs to the first of them."""
    pieces, is_special, end = [], [], 0
    for name, (start, stop) in zip(encoding.tokens, encoding.offsets, strict=True):
        is_special.append(start == stop)
        if start == stop:
            pieces.append(name)
            continue
        reached = max(end, stop)
        pieces.append(text[end:reached])
        end = reached
    return pieces, is_special
