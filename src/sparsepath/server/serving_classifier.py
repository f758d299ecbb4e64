"""A classifier that answers in this process, and what the new one is asked beside it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, final

import numpy as np

from sparsepath.audit.rollout.model import ModelKind, ModelRef
from sparsepath.audit.rollout.tally import ShadowAnswer
from sparsepath.errors import ModelError
from sparsepath.runtime.base import FloatArray
from sparsepath.server.batching import Batcher
from sparsepath.server.classifier import Answer, Classifier
from sparsepath.server.meter import Meter
from sparsepath.server.metrics import Metrics
from sparsepath.server.options import ServeOptions
from sparsepath.server.shadow import Compared


class ServedClassifier(NamedTuple):
    """A classifier, its queue and its meter."""

    model: Classifier
    batcher: Batcher[Answer]
    meter: Meter
    running: "asyncio.Task[None] | None" = None
    """What empties its queue; None: the service does."""

    @property
    def cpu_s(self) -> float:
        """CPU seconds of its answers."""
        return self.meter.cpu_s

    def close(self) -> "asyncio.Task[None] | None":
        """Let what waits be answered, and nothing more."""
        if self.running is not None:
            self.batcher.close()
        return self.running


@final
class Classifiers:
    """Loads classifiers."""

    name: ModelKind = "classifier"

    def __init__(self, threads: int, options: ServeOptions, metrics: Metrics) -> None:
        self._threads, self._options, self._metrics = threads, options, metrics

    async def load(self, ref: ModelRef) -> ServedClassifier:
        """Load a classifier, and begin to answer with it.

        Raises:
            ModelError: if it cannot be loaded.
        """
        served = self.served(await asyncio.to_thread(self._opened, ref))
        return served._replace(running=asyncio.create_task(served.batcher.run()))

    def served(self, model: Classifier) -> ServedClassifier:
        """Put a queue before a classifier."""
        meter, options = Meter(model.threads), self._options

        def answer(texts: Sequence[str]) -> list[Answer]:
            with meter.counting():
                return model.answer(texts)

        batcher: Batcher[Answer] = Batcher(
            answer,
            limit=options.batch_texts,
            wait_s=options.batch_wait_ms / 1000,
            capacity=options.queue_texts,
            metrics=self._metrics,
        )
        return ServedClassifier(model, batcher, meter)

    def _opened(self, ref: ModelRef) -> Classifier:
        if ref.precision not in ("fp32", "int8"):
            raise ModelError(
                f"no graph of a classifier is {ref.precision}", hint="use fp32 or int8"
            )
        return Classifier(
            Path(ref.folder),
            precision=ref.precision,
            threads=self._threads,
            batch=self._options.batch_texts,
        )


class Labelled(NamedTuple):
    """Texts that the old model has labelled."""

    texts: list[str]
    seqs: list[int]
    """Numbers of the decisions' records."""
    labels: list[str]
    """What the old model said."""
    names: Sequence[str]
    """Labels of the new model, in the order of its probabilities."""

    @property
    def n_texts(self) -> int:
        """How many."""
        return len(self.texts)

    @property
    def size(self) -> int:
        """Characters."""
        return sum(map(len, self.texts))

    @property
    def asked(self) -> list[str]:
        """What the new model gets."""
        return self.texts

    def compared(self, content: dict[str, Any]) -> Compared:
        """Compare what the new model said.

        Raises:
            ValueError: if it is something else than agreed.
        """
        rows = [np.array(row, np.float32) for row in content["probabilities"]]
        places = [int(row.argmax()) for row in rows]
        answers = [
            ShadowAnswer(seq, old, self.names[at], round(float(row[at]), 6), _entropy(row))
            for seq, old, row, at in zip(self.seqs, self.labels, rows, places, strict=True)
        ]
        agreed = sum(answer.new == answer.old for answer in answers)
        return Compared(agreed, float(content["ms"]), 0, answers)


_LEAST: Final = 1e-300


def _entropy(row: FloatArray) -> float:
    """Give the entropy over that of equal probabilities."""
    p = row.astype(np.float64)
    total = -(p * np.log(np.maximum(p, _LEAST))).sum()
    return round(float(total / np.log(max(2, len(p)))), 6)
