"""Places where a neuron fires and where it does not, for a label by, and a test of, somebody else.

Half of the places where it is silent have a token at which it fires elsewhere, as far as there are
such; the others are drawn at random. All are drawn from the rows that labels are found or judged
on, and only numbers are kept of them: row and place in the table `text` of a catalogue.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sparsepath.concepts.bits import Bits
from sparsepath.concepts.events import Events
from sparsepath.concepts.questions import Part

N_TRIALS = 12
"""Held-out places of each kind."""

N_SILENT = 8
"""Places of finding rows where it does not fire."""

N_TOKENS, N_OF_TOKEN = 8, 8
"""Tokens it fires on that are looked up elsewhere, and places of each that are looked at."""

Places = NDArray[np.int64]


def text_rows(finding: Part, held_out: Part) -> Iterator[bytes]:
    """Give the tokens of all rows that places lie in, finding rows first, ids as 32 bits."""
    for part in (finding, held_out):
        for row in part.view.tokens:
            yield row.astype("<u4").tobytes()


class Contrasts:
    """Draws places for the neurons of one text."""

    def __init__(self, finding: Part, held_out: Part) -> None:
        """Sort positions by their token, once."""
        self._finding, self._held_out = _Occurrences(finding), _Occurrences(held_out)

    def of(
        self, events: Events, fires: Places, tokens: Sequence[int], said: Bits, *, seed: int
    ) -> tuple[bytes, bytes, bytes, bytes]:
        """Draw places for a neuron.

        Args:
            events: of the neuron, in all rows.
            fires: where it fires in the held-out rows, ascending.
            tokens: at which it fires, the most telling first.
            said: where its automatic label says so in the held-out rows.
            seed: draws, with the neuron's number and sign.

        Returns:
            Silent places of finding rows; then of held-out rows places where it fires, places where
            it does not (all as 32 bits), and what its label says of both (8 bits each).
        """
        neuron = events.neuron
        random = np.random.default_rng([seed, neuron.index, int(neuron.sign < 0)])
        drawn = random.permutation(fires)[:N_TRIALS]
        quiet = self._held_out.silent(fires, tokens, N_TRIALS, random)
        inside = self._finding.part.inside(events.positions)
        silent = self._finding.silent(inside, tokens, N_SILENT, random)
        trials = np.concatenate([drawn, quiet])
        answers = np.unpackbits(np.ascontiguousarray(said).view(np.uint8))[trials]
        first = self._finding.part.n
        return (
            silent.astype("<u4").tobytes(),
            (drawn + first).astype("<u4").tobytes(),
            (quiet + first).astype("<u4").tobytes(),
            answers.tobytes(),
        )


class _Occurrences:
    """Where each token stands in a part of a text."""

    def __init__(self, part: Part) -> None:
        self.part = part
        tokens = part.view.tokens.reshape(-1).astype(np.int64)
        self._order = np.argsort(tokens, kind="stable")
        self._starts = np.searchsorted(tokens[self._order], np.arange(len(part.view.texts) + 1))

    def silent(
        self, fires: Places, tokens: Sequence[int], n: int, random: np.random.Generator
    ) -> Places:
        """Draw up to `n` places where a neuron does not fire, half of them at its tokens."""
        like = [self._places(token, random) for token in tokens[:N_TOKENS]]
        near = _without(np.concatenate([np.empty(0, np.int64), *like]), fires)
        near = random.permutation(near)[: n // 2]
        far = _without(random.integers(0, self.part.n, 4 * n), fires)
        far = np.setdiff1d(far, near)
        return np.concatenate([near, random.permutation(far)[: n - len(near)]])

    def _places(self, token: int, random: np.random.Generator) -> Places:
        """Draw some places of a token."""
        found = self._order[self._starts[token] : self._starts[token + 1]]
        return found if len(found) <= N_OF_TOKEN else random.choice(found, N_OF_TOKEN)


def _without(places: Places, fires: Places) -> Places:
    """Leave out those where a neuron fires, and repetitions."""
    places = np.unique(places)
    if not len(fires):
        return places
    near = np.minimum(np.searchsorted(fires, places), len(fires) - 1)
    found: Places = places[fires[near] != places]
    return found
