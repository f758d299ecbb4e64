"""Evidence: the token itself, the word it belongs to, and those before it."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from sparsepath.concepts.evidence.base import Category, Kind, View
from sparsepath.concepts.evidence.wording import either, some_tokens

LEAST_SEEN = 4
"""Occurrences below which a word is among the others."""


class Tokens(Category):
    """Which token it is, or which one stands before it."""

    def __init__(self, texts: list[str], *, before: bool) -> None:
        """Take the vocabulary.

        Args:
            texts: of every token, by id.
            before: ask of the token before.
        """
        self._texts, self._before = texts, before
        self.kind: Kind = "previous" if before else "token"
        self.key = "after:token" if before else "token"
        self.is_head = not before

    @property
    def n(self) -> int:
        """Tokens, and one for none."""
        return len(self._texts) + 1

    def codes(self, view: View) -> NDArray[np.int64]:
        """Give token ids plus 1."""
        found = view.tokens.astype(np.int64) + 1
        return (_before(found) if self._before else found).reshape(-1)

    def phrase(self, codes: list[int]) -> str:
        """Name tokens."""
        named = some_tokens([self._texts[code - 1] for code in codes])
        return f"after {named}" if self._before else named

    def names(self, codes: list[int]) -> list[str]:
        """Give tokens."""
        return [self._texts[code - 1] for code in codes]


class Words(Category):
    """Which word it is, as far as it is written, in small letters; or the word before."""

    def __init__(self, view: View, *, before: bool) -> None:
        """Take the words that occur several times.

        Args:
            view: rows on which labels are found.
            before: ask of the token before.
        """
        counts = Counter(view.words)
        self._names = [w for w, n in counts.most_common() if n >= LEAST_SEEN and w.isalpha()]
        self._numbers = {word: number for number, word in enumerate(self._names, start=1)}
        self._before = before
        self.kind: Kind = "previous" if before else "word"
        self.key = "after:word" if before else "word"
        self.is_head = not before

    @property
    def n(self) -> int:
        """Words, and one for all others."""
        return len(self._names) + 1

    def codes(self, view: View) -> NDArray[np.int64]:
        """Give the numbers of words."""
        found = np.array([self._numbers.get(word, 0) for word in view.words], dtype=np.int64)
        found = found.reshape(view.tokens.shape)
        return (_before(found) if self._before else found).reshape(-1)

    def phrase(self, codes: list[int]) -> str:
        """Name words."""
        names = either([f'"{self._names[code - 1]}"' for code in codes])
        many = "words" if len(codes) > 1 else "word"
        return f"after the {many} {names}" if self._before else f"the {many} {names}"

    def names(self, codes: list[int]) -> list[str]:
        """Give words."""
        return [self._names[code - 1] for code in codes]


def _before(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give what stands one place earlier in the row; 0 at its start."""
    found = np.zeros_like(codes)
    found[:, 1:] = codes[:, :-1]
    return found
