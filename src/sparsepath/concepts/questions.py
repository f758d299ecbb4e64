"""All that labels may ask of a text, with the answers on finding rows and on held-out rows.

Labels are found on the first and judged on the second; nothing of held-out rows goes into a
question, neither its words nor its names.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.concepts.bits import Bits, count, pack
from sparsepath.concepts.evidence.base import Category, Evidence, Feature, View
from sparsepath.concepts.evidence.classes import Classes
from sparsepath.concepts.evidence.places import Places
from sparsepath.concepts.evidence.surroundings import Surroundings
from sparsepath.concepts.evidence.tokens import Tokens, Words
from sparsepath.concepts.evidence.topics import Labels, Meanings, TopicWords
from sparsepath.concepts.recorded import Recorded

MAX_FINDING, MAX_HELD_OUT = 262_144, 131_072
"""Positions of each part that are asked about, at most; whole rows, evenly spread."""


class Codes(NamedTuple):
    """The values of a category."""

    category: Category
    finding: NDArray[np.int64]
    """At every position of the finding rows."""
    held_out: NDArray[np.int64]
    """At every position of the held-out rows."""
    counts: NDArray[np.int64]
    """How often each value occurs in the finding rows."""


class Part:
    """The rows of one part that are asked about."""

    def __init__(self, text: Recorded, clusters: NDArray[np.uint8], *, held_out: bool) -> None:
        """Choose rows.

        Args:
            text: of a recording.
            clusters: of meaning, at every position of it.
            held_out: which part.
        """
        rows = np.flatnonzero(text.held_out == held_out)
        most = max(1, (MAX_HELD_OUT if held_out else MAX_FINDING) // text.length)
        if len(rows) > most:
            rows = rows[np.arange(most) * len(rows) // most]
        texts = [piece.decode(errors="replace") for piece in text.pieces]
        for special in _between_documents(text):
            texts[special] = ""
        by_row = clusters.reshape(-1, text.length)
        of_text = None if text.texts is None else text.texts[rows]
        own = by_row[rows].reshape(-1)
        self.view = View(text.tokens[rows], texts, own, of_text, text.labels, text.pieces)
        self._length = text.length
        # From a row's place in the recording to its place here, never behind it; 1: it is not here.
        self._shifts = np.ones(len(text.tokens), np.int64)
        self._shifts[rows] = (np.arange(len(rows)) - rows) * text.length

    @property
    def n(self) -> int:
        """Positions."""
        return self.view.n

    def inside(self, positions: NDArray[Any]) -> NDArray[np.int64]:
        """Leave the positions of a recording that are asked about, as numbers from 0."""
        rows = positions // self._length  # several times as fast as divmod
        shift = self._shifts[rows]
        found: NDArray[np.int64] = (positions + shift)[shift <= 0]
        return found


def _between_documents(text: Recorded) -> list[int]:
    """Find tokens such as `<|end|>`, which stand for no text."""
    return [
        id_
        for id_, piece in enumerate(text.pieces)
        if piece.startswith((b"<|", b"<s>", b"</s>")) and piece.endswith(b">")
    ]


class Questions:
    """Features and categories with their answers."""

    def __init__(self, finding: Part, held_out: Part, n_clusters: int) -> None:
        """Ask everything once.

        Args:
            finding: rows on which labels are found.
            held_out: rows on which they are judged.
            n_clusters: of meaning.
        """
        self.n_finding, self.n_held_out = finding.n, held_out.n
        texts = finding.view.texts
        evidence: list[Evidence] = [
            Classes(texts, before=False),
            Classes(texts, before=True),
            Places(texts),
            Surroundings(),
            TopicWords(finding.view),
            Meanings(finding.view, n_clusters),
            Labels(finding.view),
        ]
        self.features: list[Feature] = []
        answers, later = [], []
        for kind in evidence:
            for number, feature in enumerate(kind.features):
                mask = kind.mask(finding.view, number)
                if not 0 < int(mask.sum()) < finding.n:
                    continue  # says nothing here
                self.features.append(feature)
                answers.append(pack(mask))
                later.append(pack(kind.mask(held_out.view, number)))
        self.finding: Bits = np.stack(answers)
        self.held_out: Bits = np.stack(later)
        self.counts = count(self.finding)
        self.categories = [
            _codes(category, finding.view, held_out.view)
            for before in (False, True)
            for category in (Tokens(texts, before=before), Words(finding.view, before=before))
        ]


def _codes(category: Category, finding: View, held_out: View) -> Codes:
    """Give the values of a category everywhere."""
    codes = category.codes(finding)
    counts = np.bincount(codes, minlength=category.n)
    return Codes(category, codes, category.codes(held_out), counts)
