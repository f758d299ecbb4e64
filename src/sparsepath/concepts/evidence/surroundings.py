"""Evidence: what a token is inside of, as far as its row shows: quotes, brackets, comments."""

from functools import lru_cache

import numpy as np

from sparsepath.concepts.evidence.base import Evidence, Feature, Mask, View

NAMES = (
    "inside quotation marks",
    "inside brackets",
    "inside a docstring",
    "inside a comment",
    "on an indented line",
)
"""What can be around a token."""


class Surroundings(Evidence):
    """Surroundings."""

    def __init__(self) -> None:
        """Nothing is needed."""
        self._of = lru_cache(maxsize=2)(_surroundings)

    @property
    def features(self) -> list[Feature]:
        """Name them."""
        return [Feature("surroundings", name, False, name) for name in NAMES]

    def mask(self, view: View, number: int) -> Mask:
        """Say where tokens are inside of something."""
        found: Mask = self._of(view)[number]
        return found


def _surroundings(view: View) -> Mask:
    """Go through all rows, [names, M]."""
    found = np.zeros((len(NAMES), *view.tokens.shape), bool)
    for number, row in enumerate(view.tokens.tolist()):
        _one_row([view.texts[token] for token in row], found[:, number])
    return found.reshape(len(NAMES), -1)


def _one_row(texts: list[str], found: Mask) -> None:
    """Go through one row; a token that opens is not inside yet, one that closes no more."""
    quotes = brackets = 0
    docstring = comment = indented = False
    line_start = True
    for place, text in enumerate(texts):
        if "\n" in text or not text:
            quotes, comment, line_start, indented = 0, False, True, False
            brackets = brackets if text else 0
            docstring = docstring and bool(text)
            indented = text.split("\n")[-1].startswith((" ", "\t"))
        if '"""' in text or "'''" in text:
            docstring = not docstring
        elif text.count('"') % 2 or "\u201c" in text or "\u201d" in text:
            quotes = 1 - quotes
        brackets = max(0, brackets - sum(text.count(char) for char in ")]}）」』"))
        values = (quotes > 0, brackets > 0, docstring, comment, indented)
        found[:, place] = values
        brackets += sum(text.count(char) for char in "([{（「『")
        if "#" in text and (line_start or text.startswith(" ")):
            comment = True
        if text.strip():
            line_start = False
