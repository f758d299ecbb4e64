"""A sparse classifier that answers steered: its graph, with edits in it, in ONNX Runtime.

One text at a time, since each new steering is a graph of its own; the last one stays open.
"""

import importlib.util
from typing import final

from sparsepath.artifacts.edit import Edit
from sparsepath.runtime.base import Engine, FloatArray
from sparsepath.runtime.engine import load_engine
from sparsepath.server.classifier import Classifier
from sparsepath.server.turns import Turns


def can_put_edits_into_graphs() -> bool:
    """Say whether the package onnx is there."""
    return importlib.util.find_spec("onnx") is not None


@final
class Trials:
    """Answers texts with edits that need not have been saved."""

    def __init__(self, model: Classifier) -> None:
        self._model = model
        self._turns = Turns()
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
        return await self._turns.take(lambda: self._answered(text, edits))

    def _answered(self, text: str, edits: tuple[Edit, ...]) -> FloatArray:
        if self._last is None or self._last[0] != edits:
            self._last = None
            model = self._model
            engine = load_engine(
                model.folder, threads=model.threads, precision=model.precision, preset=edits or None
            )
            self._last = (edits, engine)
        return self._last[1].predict_one(text.encode("utf-8", "replace").decode("utf-8"))
