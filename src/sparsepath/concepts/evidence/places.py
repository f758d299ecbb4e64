"""Evidence: where in its row, document, line or sentence a token stands."""

import numpy as np

from sparsepath.concepts.evidence.base import Evidence, Feature, Mask, View, shifted

FIRST = (1, 4, 16)
"""Tokens that count as the first ones."""


_FIRST, _FIRST_OF_DOCUMENT = "the first token read", "the first token of a document"
_IN_LINES = (
    "at the start of a line",
    "at the start of a sentence",
    "in the first five words of a line",
)


class Places(Evidence):
    """Places."""

    def __init__(self, texts: list[str]) -> None:
        """Find what ends lines, sentences and documents.

        Args:
            texts: of every token, by id.
        """
        self._breaks = np.array(["\n" in text for text in texts], bool)
        self._ends = np.array([not text for text in texts], bool)
        self._stops = np.array(
            [text.strip() in (".", "!", "?", "。", "！", "？") for text in texts], bool
        )

    @property
    def features(self) -> list[Feature]:
        """Name every place."""
        read = [
            Feature("place", f"among the first {n} tokens read", False, f"first-read:{n}")
            if n > 1
            else Feature("place", _FIRST, False, _FIRST)
            for n in FIRST
        ]
        of_document = [
            Feature(
                "place",
                f"among the first {n} tokens of a document",
                False,
                f"first-of-document:{n}",
            )
            if n > 1
            else Feature("place", _FIRST_OF_DOCUMENT, False, _FIRST_OF_DOCUMENT)
            for n in FIRST
        ]
        return [*read, *of_document, *(Feature("place", name, False, name) for name in _IN_LINES)]

    def mask(self, view: View, number: int) -> Mask:
        """Say where tokens stand in a place."""
        n_rows, length = view.tokens.shape
        places = np.broadcast_to(np.arange(length), (n_rows, length))
        if number < len(FIRST):
            return (places < FIRST[number]).reshape(-1)
        ends, breaks = view.by_token(self._ends), view.by_token(self._breaks)
        if number < 2 * len(FIRST):
            since = _since(shifted(ends), places)
            return ((since >= 0) & (since < FIRST[number - len(FIRST)])).reshape(-1)
        new_line = shifted(breaks | ends) & ~breaks
        if number == 2 * len(FIRST):
            return new_line.reshape(-1)
        if number == 2 * len(FIRST) + 1:
            stops = view.by_token(self._stops)
            return (new_line | (shifted(stops) & ~breaks)).reshape(-1)
        since = _since(new_line, places)
        return ((since >= 0) & (since < 7)).reshape(-1)


def _since(marks: Mask, places: np.ndarray) -> np.ndarray:
    """Count the tokens since the last mark in the row; -1 where there is none."""
    last = np.maximum.accumulate(np.where(marks, places, -1), axis=1)
    return np.where(last < 0, -1, places - last)
