"""What kinds of evidence have in common.

A label is made of features: yes-or-no questions about a token and what stands before it, which a
person could answer from the text alone. `View` is the text they are asked about.

Shape letters: R rows, T tokens of a row, M = R x T positions.
"""

from abc import ABC, abstractmethod
from codecs import getincrementaldecoder
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.concepts.evidence.scripts import runs
from sparsepath.concepts.recorded import TextLabels
from sparsepath.concepts.shards import Array

Mask = NDArray[np.bool_]

Kind = Literal["token", "word", "class", "previous", "place", "surroundings", "topic", "label"]
"""Kinds of evidence."""


class Feature(NamedTuple):
    """One question."""

    kind: Kind
    """Kind of evidence."""
    phrase: str
    """As it stands in a label: `a comma`, `after a comma`, `in text about "school"`."""
    is_head: bool
    """Whether it says what the token is; else it says where the token stands."""
    key: str
    """The same in no language, as `artifacts/label_words.py` reads it."""
    args: tuple[str, ...] = ()
    """Words of the text that belong to the key."""


class Distinct(NamedTuple):
    """The different words of a text."""

    numbers: dict[str, int]
    """By word, in the order of their first place."""
    codes: NDArray[np.int64]
    """Number of the word at every position, [M]."""

    def where(self, is_one: Callable[[str], bool]) -> Mask:
        """Say where a word is of a kind, [M]."""
        found: Mask = np.fromiter(map(is_one, self.numbers), bool, len(self.numbers))[self.codes]
        return found


class View:
    """Some rows of a text."""

    def __init__(
        self,
        tokens: Array,
        texts: list[str],
        clusters: NDArray[np.uint8],
        of_text: Array | None = None,
        labels: TextLabels | None = None,
        pieces: Sequence[bytes] = (),
    ) -> None:
        """Take rows.

        Args:
            tokens: ids, [R, T].
            texts: of every token of the vocabulary, by id; empty for one between documents.
            clusters: of meaning, [M].
            of_text: number of the text of each token, [R, T], where texts were read one by one.
            labels: of these texts.
            pieces: bytes of every token, by id, where some are only parts of characters.
        """
        self.tokens, self.texts, self.clusters = tokens, texts, clusters
        self.of_text, self.labels, self.pieces = of_text, labels, pieces

    @property
    def n(self) -> int:
        """Positions."""
        return int(self.tokens.size)

    def by_token(self, table: Array) -> Array:
        """Look up something of every token by its id, [R, T]."""
        found: Array = table[self.tokens]
        return found

    @cached_property
    def distinct(self) -> "Distinct":
        """All words, each once, and which of them stands where."""
        numbers: dict[str, int] = {}
        codes = [numbers.setdefault(word, len(numbers)) for word in self.words]
        return Distinct(numbers, np.array(codes, np.int64))

    @cached_property
    def words(self) -> list[str]:
        """The word up to and with each token, in small letters; other tokens as they are, [M].

        A word ends at a space or a sign, and where the kind of characters changes (`scripts.py`).
        A token that is only part of a character counts as nothing until the character is whole.
        """
        found: list[str] = []
        known = [_Letters.of(text) for text in self.texts]
        for row in self.tokens.tolist():
            word, script = "", ""
            characters = getincrementaldecoder("utf-8")("replace")
            for token in row:
                letters = known[token]
                if letters.is_broken and self.pieces:
                    letters = _Letters.of(characters.decode(self.pieces[token]))
                    if not letters.text:
                        found.append(word)
                        continue
                else:
                    characters.reset()
                if not letters.is_word:
                    word, script = "", ""
                    found.append(letters.text)
                    continue
                goes_on = not letters.is_begun and letters.first == letters.last == script
                word = word + letters.tail if goes_on else letters.tail
                script = letters.last
                found.append(word)
        return found


class _Letters(NamedTuple):
    """What a token adds to a word."""

    text: str
    """In small letters, without space."""
    is_word: bool
    is_begun: bool
    """Whether a word begins with it."""
    is_broken: bool
    """Whether it is only part of a character, or ends in one."""
    first: str
    """Kind of its first characters; empty where it is many kinds or no word."""
    last: str
    """Kind of its last characters."""
    tail: str
    """Its last characters of one kind."""

    @classmethod
    def of(cls, text: str) -> "_Letters":
        """Look at a token with its space."""
        letters = text.strip().lower()
        if not _is_word(letters):
            return cls(letters, False, False, "\ufffd" in text, "", "", "")
        cut = runs(letters)
        first = cut[0].script if len(cut) == 1 else ""
        is_begun = text != text.lstrip()
        return cls(letters, True, is_begun, False, first, cut[-1].script, cut[-1].text)


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
    key: str
    """As that of a feature."""

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
