"""In texts of which class a neuron fires, and how strongly."""

import numpy as np

from sparsepath.artifacts.catalogue_classes import N_BINS, Counts, told
from sparsepath.concepts.events import Events
from sparsepath.concepts.recorded import Recorded

N_NAMED = 5
"""Classes that are named of each neuron."""


class ClassFiring:
    """The classes of the texts of a recording."""

    def __init__(self, text: Recorded) -> None:
        """Count texts.

        Args:
            text: with the number of each text, and labels.
        """
        assert text.texts is not None
        assert text.labels is not None
        self.names = text.labels.names
        read, numbers = np.unique(text.texts, return_inverse=True)
        self._text_at = numbers.reshape(-1)
        self._class_of = text.labels.numbers[read]

    def counts(self, events: Events) -> Counts:
        """Count texts by class and by the highest value of a neuron, [classes, `N_BINS`].

        A text in which it is nowhere above zero counts as silent.
        """
        most = np.zeros(len(self._class_of), np.float32)
        np.maximum.at(most, self._text_at[events.positions], events.values)
        fired = most > 0
        bins = np.zeros(len(most), np.int64)
        if fired.any():
            cuts = np.quantile(most[fired], np.arange(1, N_BINS - 1) / (N_BINS - 1))
            bins[fired] = 1 + np.searchsorted(cuts, most[fired], side="right")
        flat = np.bincount(self._class_of * N_BINS + bins, minlength=len(self.names) * N_BINS)
        return flat.reshape(-1, N_BINS).astype(np.int64)

    def best(self, counts: Counts) -> list[tuple[str, float, float]]:
        """Name the classes that a neuron tells best: share of texts in which it fires, AUROC."""
        present = np.flatnonzero(counts.sum(axis=1))
        if len(present) < 2 or counts[:, 1:].sum() == 0:
            return []
        mine = counts[present]
        found = told(mine, counts.sum(axis=0) - mine)
        order = np.argsort(-found.area, kind="stable")[:N_NAMED]
        return [
            (
                self.names[present[i]],
                round(float(found.share[i]), 4),
                round(float(found.area[i]), 4),
            )
            for i in order.tolist()
        ]
