"""A corpus as rows of tokens of equal length, one after the other, from any point on.

Held-out documents go into rows of their own, so no row mixes both parts. A document's tokens are
followed by the model's end token; what is left at the end of the corpus and fills no row is
dropped.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from sparsepath.data.corpus import documents, is_held_out

Ids = NDArray[np.int64]


class Row(NamedTuple):
    """Some tokens."""

    ids: Ids
    """[length]."""
    is_held_out: bool
    """Whether they are kept aside for judging labels."""
    texts: Ids | None = None
    """Number of the text that each token is of, [length], where texts are read one by one."""
    offsets: Ids | None = None
    """Place of each token in its text, [length]."""


@dataclass(kw_only=True, slots=True)
class Place:
    """How far a corpus was read."""

    n_documents: int = 0
    """Documents that were tokenized."""
    finding: list[int] = field(default_factory=list)
    """Tokens of theirs that are in no row yet."""
    held_out: list[int] = field(default_factory=list)
    """The same of held-out documents."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowSettings:
    """How rows are made of a corpus."""

    source: str
    """As `data.corpus` reads it."""
    length: int
    """Tokens of a row."""
    share_held_out: float
    """Of the documents, 0 to 1."""
    end_id: int | None
    """Token after each document."""


def rows_of(settings: RowSettings, tokenizer: Tokenizer, place: Place) -> Iterator[Row]:
    """Give the rows after a place, which moves on with every row.

    Args:
        settings: how rows are made.
        tokenizer: of the model, without truncation.
        place: where to go on; the same rows come as without a stop.

    Raises:
        DataError: if the corpus cannot be read.
    """
    for number, text in enumerate(islice(documents(settings.source), place.n_documents, None)):
        if number == 0:
            yield from _full(place, settings.length)
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        aside = is_held_out(place.n_documents, settings.share_held_out)
        waiting = place.held_out if aside else place.finding
        waiting.extend(ids if settings.end_id is None else [*ids, settings.end_id])
        place.n_documents += 1
        yield from _full(place, settings.length)
    yield from _full(place, settings.length)


def _full(place: Place, length: int) -> Iterator[Row]:
    """Cut off full rows; the place is right at the moment each of them is given."""
    for waiting, aside in ((place.finding, False), (place.held_out, True)):
        while len(waiting) >= length:
            ids = np.array(waiting[:length], dtype=np.int64)
            del waiting[:length]
            yield Row(ids, aside)
