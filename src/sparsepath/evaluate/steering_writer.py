"""A language model that writes and reads while ways to steer it are compared."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from sparsepath.config import SweepOptions
from sparsepath.data.tables import Table
from sparsepath.errors import DataError
from sparsepath.runtime.language.engine import Engine
from sparsepath.steering.judge import Judge
from sparsepath.steering.score import (
    MOST,
    Scores,
    concept_score,
    fluency_score,
    relevance_score,
    together,
)
from sparsepath.steering.sweep import Output, Way

LABELLED_ROWS = 200
"""Rows of a labelled table that are used, at most."""


class EngineWriter:
    """Samples outputs, and measures side effects, always on the same seeds and texts."""

    def __init__(
        self,
        engine: Engine,
        prompts: Sequence[str],
        neutral: Sequence[str],
        labelled: Table | None,
        options: SweepOptions,
    ) -> None:
        """Take a model and texts.

        Args:
            engine: not steered.
            prompts: at least one.
            neutral: texts on which side effects are measured.
            labelled: rows whose labels are words that may follow their texts.
            options: how outputs are drawn.

        Raises:
            DataError: if all neutral texts are too short.
        """
        self._engine, self._options = engine, options
        self._prompts = list(prompts)
        self._neutral = [ids for text in neutral if len(ids := self._ids(text)) > 1]
        self._labelled = labelled
        self._own_bits: list[float] = []
        if not self._neutral:
            raise DataError("no neutral text has two tokens", hint="give longer texts")

    def outputs(self, way: Way) -> list[Output]:
        """Sample one output for each prompt and seed."""
        engine, found = self._engine, []
        with self._steered(way):
            for prompt in self._prompts:
                ids = engine.encode(way.prefix + prompt)
                for sample in range(self._options.samples):
                    new = list(engine.tokens(ids, self._options.generation(sample)))
                    found.append(Output(engine.tokenizer.decode(new), new))
        return found

    def bits_per_byte(self, way: Way) -> float:
        """Measure how well neutral texts are predicted, from the second token of each on.

        Edits of answers act from that token on too, those of prompts on what is before it.
        """
        before = self._ids(way.prefix)
        nats = n_bytes = 0.0
        with self._steered(way):
            for ids in self._neutral:
                # Half of the context is left for a text put before; all ways read the same tokens.
                text = ids[: self._engine.shape.context // 2 + 1]
                nats -= float(self._log_shares(before + text, len(before) + 1).sum())
                n_bytes += len(self._engine.tokenizer.decode(text[1:]).encode())
        return nats / math.log(2) / max(n_bytes, 1)

    def accuracy(self, way: Way) -> float | None:
        """Give the share of labelled rows whose label is the likeliest one to follow the text."""
        table = self._labelled
        if table is None:
            return None
        labels = sorted(set(table.labels))
        ends = [self._ids(f" {label}") for label in labels]
        room = self._engine.shape.context - max(map(len, ends))
        n_right = 0
        with self._steered(way):
            for text, truth in zip(table.texts, table.labels, strict=True):
                ids = self._ids(way.prefix + text)[-room:]
                scores = [self._log_shares(ids + end, len(ids)).sum() for end in ends]
                n_right += labels[int(np.argmax(scores))] == truth
        return n_right / len(table.texts)

    def scores(self, outputs: Sequence[Output], judge: Judge) -> Scores | None:
        """Score outputs by the unsteered model, as `outputs` gave them; its own ones come first."""
        if not self._options.scored:
            return None
        prompts = [self._engine.encode(prompt) for prompt in self._prompts]
        prompts = prompts if len(prompts) > 1 else [*prompts, self._ids("\n")]
        told = []
        for number, output in enumerate(outputs):
            told.append(
                (output, self._nats(prompts, output.tokens), number // self._options.samples)
            )
        bits = [_bits(nats[own], output.text) for output, nats, own in told]
        self._own_bits = self._own_bits or bits
        found = []
        for (output, nats, own), surprise in zip(told, bits, strict=True):
            n = judge.times(output.text) if judge.times else MOST * judge.carries([output.text])[0]
            fluency = fluency_score(surprise, self._own_bits)
            relevance = relevance_score(nats, own) if output.tokens else 0
            found.append((concept_score(n), fluency, relevance))
        return together(found)

    def _nats(self, prompts: list[list[int]], new: list[int]) -> NDArray[np.float64]:
        """Give how surprised the model is by new tokens after each prompt."""
        if not new:
            return np.zeros(len(prompts))
        room = self._engine.shape.context - len(new)
        shares = [self._log_shares(ids[-room:] + new, len(ids[-room:])).sum() for ids in prompts]
        return -np.array(shares, np.float64)

    @contextmanager
    def _steered(self, way: Way) -> Iterator[None]:
        """Steer; strengths were checked before."""
        is_allowed = self._options.is_dense_allowed
        with self._engine.steered(*way.edits, is_dense_allowed=is_allowed, unsafe_strength=True):
            yield

    def _ids(self, text: str) -> list[int]:
        """Give token ids without special ones."""
        ids: list[int] = self._engine.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _log_shares(self, ids: list[int], n_prompt: int) -> NDArray[np.float64]:
        """Give the logarithms of the probabilities of the tokens after a prompt."""
        cache = self._engine.cache(len(ids) - 1, n_prompt=n_prompt)
        n = len(ids) - n_prompt
        logits = self._engine.read(ids[:-1], cache, n).astype(np.float64)
        top = logits.max(axis=1)
        told: NDArray[np.float64] = logits[np.arange(n), ids[n_prompt:]]
        shares: NDArray[np.float64] = told - top - np.log(np.exp(logits - top[:, None]).sum(axis=1))
        return shares


def _bits(nats: float, text: str) -> float:
    """Give bits per byte; without end where nothing was written."""
    n_bytes = len(text.encode())
    return float(nats) / math.log(2) / n_bytes if n_bytes else math.inf
