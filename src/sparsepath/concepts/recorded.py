"""The text of a recording, and what is known of it before any neuron is looked at."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.artifacts.spelling import spell
from sparsepath.concepts.events import Events
from sparsepath.concepts.shards import Array, Shards
from sparsepath.errors import DataError

LEAST_ROWS = 2
"""Rows of each part below which nothing can be said."""


class TextLabels(NamedTuple):
    """Labels of texts."""

    names: list[str]
    """Of all labels."""
    numbers: NDArray[np.int64]
    """Of the label of each text, by number of the text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """Tokens of a recording by row."""

    tokens: Array
    """Ids, [rows, length], unsigned."""
    held_out: NDArray[np.bool_]
    """Whether a row judges labels, [rows]."""
    pieces: list[bytes]
    """Bytes of every token of the vocabulary, by id."""
    counts: NDArray[np.int64]
    """How often each token occurs in finding rows, by id."""
    texts: Array | None = None
    """Number of the text of each token, [rows, length], where each was read by itself; None of
    running text."""
    labels: TextLabels | None = None
    """Of these texts, where they have some."""

    @property
    def length(self) -> int:
        """Tokens of a row."""
        return int(self.tokens.shape[1])

    @property
    def n_finding(self) -> int:
        """Tokens of all finding rows."""
        return int((~self.held_out).sum()) * self.length

    @property
    def n_held_out(self) -> int:
        """Tokens of all held-out rows."""
        return int(self.held_out.sum()) * self.length

    def finding(self, events: Events) -> Events:
        """Leave the events of finding rows."""
        wanted = ~self.held_out[events.positions // self.length]
        return Events(events.neuron, events.positions[wanted], events.values[wanted])

    def tokens_at(self, events: Events) -> Array:
        """Give the token of each event."""
        found: Array = self.tokens.reshape(-1)[events.positions]
        return found

    def text(self, ids: Array) -> list[str]:
        """Write tokens as texts."""
        return spell([self.pieces[int(id_)] for id_ in ids])


def recorded(
    shards: Shards, pieces: list[bytes], source: str, labels: TextLabels | None = None
) -> Recorded:
    """Read the tokens of a finished recording.

    Args:
        shards: of it.
        pieces: bytes of every token.
        source: named in the error.
        labels: of its texts.

    Raises:
        DataError: if the corpus filled too few rows.
    """
    tokens, held_out = shards.rows() if shards.paths else (np.empty((0, 0)), np.empty(0, bool))
    n_held_out = int(held_out.sum())
    for n, part in ((len(held_out) - n_held_out, "finding"), (n_held_out, "judging")):
        if n < LEAST_ROWS:
            raise DataError(
                f"{source} fills {len(held_out)} rows, {n} of them for {part} labels",
                hint=f"use more text, a smaller --length or another --held-out: {LEAST_ROWS} rows "
                "of each kind are the least, some thousand are better",
            )
    counts = np.bincount(tokens[~held_out].reshape(-1), minlength=len(pieces))
    return Recorded(
        tokens=tokens,
        held_out=held_out,
        pieces=pieces,
        counts=counts.astype(np.int64),
        texts=shards.texts(),
        labels=labels,
    )
