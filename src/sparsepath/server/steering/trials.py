"""A sparse classifier that answers steered: its graph, with edits in it, in ONNX Runtime.

One text at a time, since each new steering is a graph of its own; the last one stays open.
"""

import asyncio
import importlib.util
from typing import Final, final

from sparsepath.artifacts.edit import Edit
from sparsepath.runtime.base import Engine, FloatArray
from sparsepath.runtime.engine import load_engine
from sparsepath.server.classifier import Classifier
from sparsepath.server.problems import Problem

MOST_WAITING: Final = 8
"""Texts that may wait; beyond, requests are refused with 429."""


def can_put_edits_into_graphs() -> bool:
    """Say whether the package onnx is there."""
    return importlib.util.find_spec("onnx") is not None


@final
class Trials:
    """Answers texts with edits that need not have been saved."""

    def __init__(self, model: Classifier) -> None:
        self._model = model
        self._turn = asyncio.Lock()
        self._n_waiting = 0
        self._last: tuple[tuple[Edit, ...], Engine] | None = None

    async def answer(self, text: str, edits: tuple[Edit, ...]) -> FloatArray:
        """Give probabilities, [labels].

        Args:
            text: any.
            edits: that were checked.

        Raises:
            MissingExtraError: if the package onnx is not here.
            Problem: if too many wait.
        """
        if self._n_waiting >= MOST_WAITING:
            raise Problem(
                429,
                "busy",
                f"{self._n_waiting} texts wait to be tried",
                fix="ask again in a moment",
                headers={"Retry-After": "2"},
            )
        self._n_waiting += 1
        try:
            async with self._turn:
                # A client that leaves does not end the thread, so the turn is kept until it ends.
                working = asyncio.ensure_future(asyncio.to_thread(self._answered, text, edits))
                try:
                    return await asyncio.shield(working)
                finally:
                    await asyncio.wait([working])
        finally:
            self._n_waiting -= 1

    def _answered(self, text: str, edits: tuple[Edit, ...]) -> FloatArray:
        if self._last is None or self._last[0] != edits:
            self._last = None
            model = self._model
            engine = load_engine(
                model.folder, threads=model.threads, precision=model.precision, preset=edits or None
            )
            self._last = (edits, engine)
        return self._last[1].predict_one(text.encode("utf-8", "replace").decode("utf-8"))
