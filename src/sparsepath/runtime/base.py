"""What every engine can do, whatever is inside: texts in, probabilities out.

Read with it: `single.py`, `cascade.py`, `early_exit.py` (the engines) and `engine.py` (which of
them a folder needs).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from sparsepath.runtime.manifest import Kind
from sparsepath.runtime.text import TextEncoder

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


class Answers(NamedTuple):
    """What an engine says about texts, in their order."""

    probabilities: FloatArray
    """One row a text, one column a label; rows sum to 1."""
    stages: IntArray
    """Number of the stage that answered each text, from 0; always 0 in a single model."""


class Engine(ABC):
    """A model that runs; made by `engine.load_engine`."""

    labels: list[str]
    """Names of the labels, in the order of the probabilities."""

    kind: Kind
    """What is inside."""

    n_stages: int
    """Models or stages that may answer; 1 in a single model."""

    encoder: TextEncoder
    """Tokenizer of the first stage."""

    @abstractmethod
    def predict_one(self, text: str) -> FloatArray:
        """Return the probabilities of one text, [labels], on the shortest way."""

    @abstractmethod
    def answer(self, texts: Sequence[str], batch_size: int = 1) -> Answers:
        """Return the probabilities of texts and which stage gave them.

        Args:
            texts: any number, empty ones included.
            batch_size: texts that go through a graph together; those of like length are put
                together. 1 gives the shortest time per text on one core, more the most texts a
                second on several.
        """

    @abstractmethod
    def stage_probabilities(self, texts: Sequence[str], batch_size: int = 1) -> FloatArray:
        """Return what every stage would say, [stages, texts, labels]."""

    @final
    def predict(self, texts: Sequence[str], batch_size: int = 1) -> FloatArray:
        """Return the probabilities of texts, [texts, labels]; see `answer`."""
        return self.answer(texts, batch_size).probabilities


class TokenBatch(NamedTuple):
    """Texts of like length, padded to the right."""

    rows: IntArray
    """Their places in the order given."""
    input_ids: IntArray
    """[texts, tokens]."""
    attention_mask: IntArray
    """1 for real tokens, 0 for padding."""


def token_batches(
    encoder: TextEncoder, texts: Sequence[str], batch_size: int
) -> Iterator[TokenBatch]:
    """Tokenize texts and group them by length, the shortest first; stable order."""
    encoded = [encoder.encode(text) for text in texts]
    order = np.argsort([len(ids) for ids in encoded], kind="stable").astype(np.int64)
    for start in range(0, len(texts), max(1, batch_size)):
        rows = order[start : start + max(1, batch_size)]
        length = len(encoded[int(rows[-1])])
        input_ids = np.full((len(rows), length), encoder.pad_id, np.int64)
        mask = np.zeros((len(rows), length), np.int64)
        for place, row in enumerate(rows):
            ids = encoded[int(row)]
            input_ids[place, : len(ids)] = ids
            mask[place, : len(ids)] = 1
        yield TokenBatch(rows, input_ids, mask)


class Masks:
    """Attention masks of single texts, made once per length."""

    def __init__(self) -> None:
        self._by_length: dict[int, IntArray] = {}

    def of(self, length: int) -> IntArray:
        """Return ones, [1, length]."""
        mask = self._by_length.get(length)
        if mask is None:
            mask = self._by_length[length] = np.ones((1, length), np.int64)
        return mask
