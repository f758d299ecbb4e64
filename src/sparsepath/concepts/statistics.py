"""What a neuron does on the finding rows, in numbers.

Token entropy: of the tokens at which a neuron fires, each firing counted once, in bits; 0 for a
neuron of one token. Semantic entropy: of the clusters of meaning (`meaning.py`) of the contexts in
which it fires, in bits, from 0 to the logarithm of the number of clusters; a neuron of one topic
has a low one even where its tokens differ.

Source: Takahashi et al. 2025, arXiv 2506.21468, have the two names; the definitions are ours.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.concepts.events import Events
from sparsepath.concepts.recorded import Recorded

N_BINS = 20
"""Of a histogram."""

N_TOKENS = 12
"""Tokens that are kept of each neuron."""

LEAST_COUNT = 2
"""Firings at a token below which its lift says nothing."""

ALWAYS_ON = 0.9
"""Share of the tokens from which a neuron counts as always on."""


class FiresOn(NamedTuple):
    """A token at which a neuron fires more often than elsewhere."""

    token: int
    """Id."""
    share: float
    """Of the neuron's firings."""
    precision: float
    """Share of the token's occurrences at which the neuron fires."""
    lift: float
    """How many times as often the token occurs where it fires as in the whole text."""


class Statistics(NamedTuple):
    """Of one neuron."""

    fired: int
    """Tokens at which it fired."""
    rate: float
    """Share of all tokens."""
    mean: float
    """Of its value where it fires."""
    largest: float
    """Value."""
    bounds: tuple[float, float]
    """Ends of the histogram: smallest and largest value."""
    histogram: tuple[int, ...]
    """Firings by value, in bins of equal width."""
    token_entropy: float
    """Bits."""
    semantic_entropy: float
    """Bits."""
    tokens: tuple[FiresOn, ...]
    """The one that tells it from the rest of the text best comes first."""

    @property
    def is_dead(self) -> bool:
        """Whether it never fired."""
        return self.fired == 0

    @property
    def is_always_on(self) -> bool:
        """Whether it fires nearly everywhere."""
        return self.rate >= ALWAYS_ON


def statistics(
    events: Events, text: Recorded, clusters: NDArray[np.uint8], n_clusters: int
) -> Statistics:
    """Sum up where a neuron fires.

    Args:
        events: of finding rows only.
        text: of the recording.
        clusters: of meaning, at every position.
        n_clusters: how many there are.
    """
    n = len(events.positions)
    if n == 0:
        return Statistics(0, 0.0, 0.0, 0.0, (0.0, 0.0), (0,) * N_BINS, 0.0, 0.0, ())
    low, high = float(events.values.min()), float(events.values.max())
    bins, _ = np.histogram(events.values, bins=N_BINS, range=(low, high if high > low else low + 1))
    counts = np.bincount(text.tokens_at(events), minlength=len(text.counts))
    meanings = np.bincount(clusters[events.positions], minlength=n_clusters)
    return Statistics(
        fired=n,
        rate=n / text.n_finding,
        mean=float(events.values.mean()),
        largest=high,
        bounds=(low, high),
        histogram=tuple(bins.tolist()),
        token_entropy=entropy_bits(counts),
        semantic_entropy=entropy_bits(meanings),
        tokens=_telling(counts, text.counts, text.n_finding),
    )


def entropy_bits(counts: NDArray[np.int64]) -> float:
    """Give the entropy of a distribution, from counts, at least one of them above zero."""
    shares = counts[counts > 0] / counts.sum()
    return float(max(0.0, -(shares * np.log2(shares)).sum()))


def _telling(
    counts: NDArray[np.int64], everywhere: NDArray[np.int64], n_everywhere: int
) -> tuple[FiresOn, ...]:
    """Order tokens by what they add to the divergence from the whole text: share x log2 lift."""
    n = int(counts.sum())
    ids = np.flatnonzero(counts >= min(LEAST_COUNT, int(counts.max())))
    share = counts[ids] / n
    lift = share / (everywhere[ids] / n_everywhere)
    gain = share * np.log2(lift)
    best = np.argsort(-gain, kind="stable")[:N_TOKENS]
    precision = counts[ids] / everywhere[ids]
    return tuple(
        FiresOn(int(ids[i]), float(share[i]), float(precision[i]), float(lift[i]))
        for i in best.tolist()
        if gain[i] > 0
    )
