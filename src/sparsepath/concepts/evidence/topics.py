"""Evidence: what a text is about: words, its meaning, the class that it has."""

from collections import Counter

import numpy as np

from sparsepath.concepts.evidence.base import Evidence, Feature, Mask, View
from sparsepath.concepts.evidence.classes import WORDS
from sparsepath.concepts.evidence.scripts import can_name_a_topic, has_spaces

N_WORDS = 300
"""Topic words at most."""

WINDOW = 64
"""Tokens after a word for which the text counts as being about it."""

LEAST_ROWS = 5
"""Rows that must have a topic word."""

NAMED_BY = 3
"""Words that name a cluster of meaning."""

_COMMON = frozenset(word for words in WORDS.values() for word in words.split()) | {
    "also", "there", "only", "just", "very", "then", "them", "they", "have", "that", "with",
    "which", "were", "been", "into", "over", "after", "used", "made", "make", "like", "well",
    "self", "none", "true", "false", "return", "import", "from", "class", "else", "elif",
}  # fmt: skip


class TopicWords(Evidence):
    """Whether a word came up shortly before."""

    def __init__(self, view: View) -> None:
        """Choose words that come up in many rows, but not in most.

        Args:
            view: rows on which labels are found.
        """
        rows: Counter[str] = Counter()
        length = view.tokens.shape[1]
        n_rows = view.tokens.shape[0]
        for row in range(n_rows):
            rows.update(set(view.words[row * length : (row + 1) * length]))
        self._words = [
            word
            for word, n in sorted(rows.items(), key=lambda item: (-item[1], item[0]))
            if can_name_a_topic(word) and word not in _COMMON and LEAST_ROWS <= n <= n_rows / 3
        ][:N_WORDS]
        self._is_running = view.of_text is None

    @property
    def features(self) -> list[Feature]:
        """Name every word."""
        where = "in text about" if self._is_running else "in a text with"
        key = "topic-about" if self._is_running else "topic-with"
        return [Feature("topic", f'{where} "{word}"', False, key, (word,)) for word in self._words]

    def mask(self, view: View, number: int) -> Mask:
        """Say where the word came up in the tokens before, or stands anywhere in a short text."""
        is_word = view.distinct.codes == view.distinct.numbers.get(self._words[number], -1)
        if view.of_text is not None:
            texts = view.of_text.reshape(-1)
            anywhere: Mask = np.isin(texts, texts[is_word])
            return anywhere
        sums = is_word.reshape(view.tokens.shape).cumsum(axis=1)
        before = np.zeros_like(sums)
        before[:, 1:] = sums[:, :-1]
        before[:, WINDOW + 1 :] -= sums[:, : -WINDOW - 1]
        found: Mask = (before > 0).reshape(-1)
        return found


class Meanings(Evidence):
    """Which cluster of meaning the last words belong to."""

    def __init__(self, view: View, n_clusters: int) -> None:
        """Name each cluster by the words that tell it from the rest of the text.

        Args:
            view: rows on which labels are found.
            n_clusters: of meaning.
        """
        everywhere = Counter(view.words)
        inside: list[Counter[str]] = [Counter() for _ in range(n_clusters)]
        for word, cluster in zip(view.words, view.clusters.tolist(), strict=True):
            if can_name_a_topic(word) or (word.isalpha() and has_spaces(word) and len(word) == 3):
                inside[cluster][word] += 1
        self._names = [_name(counts, everywhere) for counts in inside]

    @property
    def features(self) -> list[Feature]:
        """Name every cluster."""
        return [
            Feature("topic", f"in text like {_listed(words)}", False, "topic-like", tuple(words))
            for words in self._names
        ]

    def mask(self, view: View, number: int) -> Mask:
        """Say where the last words are of a cluster."""
        found: Mask = view.clusters == number
        return found


class Labels(Evidence):
    """Which class the text is of, where texts have labels."""

    def __init__(self, view: View) -> None:
        """Take the labels.

        Args:
            view: rows on which labels of neurons are found.
        """
        self._names = [] if view.labels is None else view.labels.names

    @property
    def features(self) -> list[Feature]:
        """Name every class."""
        return [
            Feature("label", f'in a text of the class "{name}"', False, "label", (name,))
            for name in self._names
        ]

    def mask(self, view: View, number: int) -> Mask:
        """Say where texts are of a class."""
        assert view.labels is not None
        assert view.of_text is not None
        found: Mask = view.labels.numbers[view.of_text.reshape(-1)] == number
        return found


def _listed(words: list[str]) -> str:
    """Write words in quotation marks."""
    return ", ".join(f'"{word}"' for word in words) or "nothing else"


def _name(counts: Counter[str], everywhere: Counter[str]) -> list[str]:
    """Give the words that are most typical: count times logarithm of how much more often."""
    n, n_all = max(1, counts.total()), everywhere.total()
    gain = {
        word: count * np.log(count / n / (everywhere[word] / n_all))
        for word, count in counts.items()
        if count >= 3
    }
    return sorted(gain, key=lambda word: (-gain[word], word))[:NAMED_BY]
