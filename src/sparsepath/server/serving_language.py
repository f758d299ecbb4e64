"""A language model that writes in this process, and what the new one is asked beside it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, final

from sparsepath.audit.rollout.model import ModelKind, ModelRef
from sparsepath.runtime.language.engine import Noted
from sparsepath.server.language import LanguageModel
from sparsepath.server.meter import Meter
from sparsepath.server.shadow import Compared

COMPARED_TOKENS: Final = 64
"""First tokens of a text that both models read, at most."""


class ServedLanguage(NamedTuple):
    """A language model and its meter; all of them write in one thread, turn by turn."""

    model: LanguageModel
    meter: Meter

    @property
    def cpu_s(self) -> float:
        """CPU seconds of its texts."""
        return self.meter.cpu_s

    def close(self) -> None:
        """Do nothing: texts that were begun hold the model until they are written."""

    def metered(self, pieces: Iterator[str]) -> Iterator[str]:
        """Give the pieces of a text, and count what they cost."""
        while True:
            with self.meter.counting():
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece


@final
class LanguageModels:
    """Loads language models."""

    name: ModelKind = "language-model"

    def __init__(self, threads: int) -> None:
        self._threads = threads

    async def load(self, ref: ModelRef) -> ServedLanguage:
        """Load a language model.

        Raises:
            ModelError: if it cannot be loaded.
        """
        return self.served(await asyncio.to_thread(self._opened, ref))

    def served(self, model: LanguageModel) -> ServedLanguage:
        """Put a meter beside a language model."""
        return ServedLanguage(model, Meter(model.threads))

    def _opened(self, ref: ModelRef) -> LanguageModel:
        return LanguageModel(Path(ref.folder), form=ref.precision, threads=self._threads)


class WrittenText(NamedTuple):
    """A text that the old model has written."""

    prompt: str
    noted: list[Noted]
    """Its first tokens, and what the old model held likeliest at each."""

    @property
    def n_texts(self) -> int:
        """One."""
        return 1

    @property
    def size(self) -> int:
        """Characters, about."""
        return len(self.prompt) + 8 * len(self.noted)

    @property
    def asked(self) -> dict[str, Any]:
        """What the new model gets."""
        return {"prompt": self.prompt, "tokens": [place.token for place in self.noted]}

    def compared(self, content: dict[str, Any]) -> Compared:
        """Compare what the new model holds likeliest after the same tokens.

        Raises:
            ValueError: if it is something else than agreed.
        """
        pairs = zip(self.noted, content["likeliest"], strict=True)
        n, n_same = len(self.noted), sum(place.likeliest == new for place, new in pairs)
        return Compared(n_same / n, float(content["ms"]) / n, n, [])
