"""What kinds of evidence have in common.

A label is made of features: yes-or-no questions about a token and what stands before it, which a
person could answer from the text alone. `View` is the text they are asked about.

Shape letters: R rows, T tokens of a row, M = R x T positions.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.concepts.shards import Array

Mask = NDArray[np.bool_]

Kind = Literal["token", "word", "class", "previous", "place", "surroundings", "topic"]
"""Kinds of evidence."""


class Feature(NamedTuple):
    """One question."""

    kind: Kind
    """Kind of evidence."""
    phrase: str
    """As it stands in a label: `a comma`, `after a comma`, `in text about "school"`."""
    is_head: bool
    """Whether it says what the token is; else it says where the token stands."""


class View:
    """Some rows of a text."""

    def __init__(self, tokens: Array, texts: list[str], clusters: NDArray[np.uint8]) -> None:
        """Take rows.

        Args:
            tokens: ids, [R, T].
            texts: of every token of the vocabulary, by id; empty for one between documents.
            clusters: of meaning, [M].
        """
        self.tokens, self.texts, self.clusters = tokens, texts, clusters

    @property
    def n(self) -> int:
        """Positions."""
        return int(self.tokens.size)

    def by_token(self, table: Array) -> Array:
        """Look up something of every token by its id, [R, T]."""
        found: Array = table[self.tokens]
        return found

    @cached_property
    def words(self) -> list[str]:
        """The word up to and with each token, in small letters; other tokens as they are, [M]."""
        found: list[str] = []
        letters = [text.strip().lower() for text in self.texts]
        is_begun = [text != text.lstrip() or not text for text in self.texts]
        is_word = [_is_word(text) for text in letters]
        for row in self.tokens.tolist():
            word = ""
            for token in row:
                if not is_word[token]:
                    word = ""
                    found.append(letters[token])
                    continue
                word = letters[token] if is_begun[token] else word + letters[token]
                found.append(word)
        return found


def _is_word(text: str) -> bool:
    """Say whether a text is made of letters, or of digits."""
    return bool(text) and all(char.isalnum() or char in "'\u2019_" for char in text)


def shifted(mask: Mask) -> Mask:
    """Ask of each token what was asked of the one before it; no for the first of a row, [R, T]."""
    found = np.zeros_like(mask)
    found[:, 1:] = mask[:, :-1]
    return found


class Evidence(ABC):
    """Some features of one kind."""

    @property
    @abstractmethod
    def features(self) -> list[Feature]:
        """All of them."""

    @abstractmethod
    def mask(self, view: View, number: int) -> Mask:
        """Answer one feature at every position, [M]."""


class Category(ABC):
    """A property of every token of which labels name a few values, such as the token itself."""

    kind: Kind
    """Kind of evidence."""
    is_head: bool
    """Whether it says what the token is."""

    @property
    @abstractmethod
    def n(self) -> int:
        """Values; number 0 stands for all others."""

    @abstractmethod
    def codes(self, view: View) -> NDArray[np.int64]:
        """Give the number of the value at every position, [M]."""

    @abstractmethod
    def phrase(self, codes: list[int]) -> str:
        """Say some values."""

    @abstractmethod
    def names(self, codes: list[int]) -> list[str]:
        """Give some values as they are."""
