"""Which rows of a table say the same, so that no such rows end up on both sides of a split."""

import unicodedata
from collections.abc import Sequence

import numpy as np

from sparsepath.data.minhash import Ints

NEAR_THRESHOLDS = (0.8, 0.9, 0.95)
"""Jaccard similarity of character n-grams from which texts are near duplicates. The later ones
are for tables of sentences from templates, where almost everything is like something else."""


def normal_form(text: str) -> str:
    """Bring a text into the form in which exact duplicates are equal.

    Width and compatibility forms (NFKC), case and white space do not count.
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def same_text_groups(forms: Sequence[str]) -> Ints:
    """Give each row the position of the first row with the same normal form."""
    first_at: dict[str, int] = {}
    return np.array(
        [first_at.setdefault(form, at) for at, form in enumerate(forms)], dtype=np.int64
    )


def connected(n: int, first: Ints, second: Ints) -> Ints:
    """Give each of `n` rows the smallest row that it is connected with through the pairs.

    Args:
        n: Number of rows.
        first: One row of each pair.
        second: The other row of each pair.
    """
    root = np.arange(n, dtype=np.int64)
    while True:
        one, other = root[first], root[second]
        if np.array_equal(one, other):
            return root
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(root, shorter := root[root]):
            root = shorter
