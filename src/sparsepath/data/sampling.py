"""Random samples of a stream of rows, in one pass and in memory that does not grow with it.

Every row gets a random key; the rows with the smallest keys are a uniform sample without
replacement. Keeping the smallest keys of each label as well guarantees rare labels their place.
Ties cannot occur in practice (53-bit keys) and are broken by the row number.
"""

from collections.abc import Iterator
from heapq import heappush, heapreplace
from typing import Any, NamedTuple

import numpy as np

MIN_PER_LABEL = 3
"""Rows that a label needs to be in the training, validation and test part."""

_BLOCK = 1 << 14


class SmallestKeys:
    """Keeps the `capacity` entries with the smallest keys of all that were offered."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        # heapq has the smallest on top, and the largest key is what must be found: keys negated.
        self._heap: list[tuple[float, int, Any]] = []

    def wants(self, key: float) -> bool:
        """Whether an entry with this key would be kept; check before building the entry."""
        return len(self._heap) < self.capacity or -key > self._heap[0][0]

    def add(self, key: float, row_id: int, entry: Any) -> None:
        """Keep an entry that `wants` approved, in place of the largest key if full."""
        if len(self._heap) < self.capacity:
            heappush(self._heap, (-key, row_id, entry))
        elif self._heap:
            heapreplace(self._heap, (-key, row_id, entry))

    def by_key(self) -> list[tuple[float, int, Any]]:
        """Entries as (key, row id, entry), smallest key first."""
        return sorted((-negated, row_id, entry) for negated, row_id, entry in self._heap)


class SampledRow(NamedTuple):
    """A row of the sample."""

    row_id: int
    """Where it was in the table."""
    text: str
    label: str
    group: str
    """What it belongs to, empty where the table has no such column."""


class StratifiedSample:
    """At most `limit` rows: the first rows of every label by key, then of all by key.

    With `limit` None every row is kept. Each label is guaranteed an equal part of half of the
    limit, at least `MIN_PER_LABEL` rows (also where that exceeds the limit) and at most
    `per_label`.
    """

    def __init__(self, limit: int | None, *, per_label: int = 50, max_labels: int = 1_000) -> None:
        self._limit = limit
        self._per_label = per_label
        self._max_labels = max_labels
        self._everything: list[SampledRow] = []
        self._all = SmallestKeys(limit or 0)
        self._by_label: dict[str, SmallestKeys] = {}

    def add(self, key: float, row_id: int, text: str, label: str, group: str = "") -> None:
        """Offer one row."""
        entry = SampledRow(row_id, text, label, group)
        if self._limit is None:
            self._everything.append(entry)
            return
        if self._all.wants(key):
            self._all.add(key, row_id, entry)
        rows = self._by_label.get(label)
        if rows is None and len(self._by_label) < self._max_labels:
            rows = self._by_label[label] = SmallestKeys(self._per_label)
        if rows is not None and rows.wants(key):
            rows.add(key, row_id, entry)

    def rows(self) -> list[SampledRow]:
        """The sample in the order of the table."""
        if self._limit is None:
            return self._everything
        equal_part = self._limit // max(1, 2 * len(self._by_label))
        guaranteed = min(self._per_label, max(MIN_PER_LABEL, equal_part))
        chosen: dict[int, SampledRow] = {}
        for kept in self._by_label.values():
            chosen.update({row_id: entry for _, row_id, entry in kept.by_key()[:guaranteed]})
        for _, row_id, entry in self._all.by_key():
            if len(chosen) >= self._limit:
                break
            chosen[row_id] = entry
        return [chosen[row_id] for row_id in sorted(chosen)]


def random_keys(seed: int) -> Iterator[float]:
    """An endless stream of keys in [0, 1), drawn in blocks because single draws are slow."""
    generator = np.random.default_rng(seed)
    while True:
        yield from generator.random(_BLOCK).tolist()
