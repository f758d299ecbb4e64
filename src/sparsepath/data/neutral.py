"""Ordinary texts on which side effects are measured: docstrings, or a corpus that a user names."""

from itertools import islice

from sparsepath.data.corpus import documents
from sparsepath.data.stdlib_docs import spread_docs
from sparsepath.errors import DataError

N_NEUTRAL = 100
"""Texts that are taken, unless said otherwise."""


def neutral_texts(source: str | None = None, n: int = N_NEUTRAL) -> list[str]:
    """Give ordinary texts, the same ones each time.

    Args:
        source: as `data.source` of a recipe, of which the first `n` documents are taken; None:
            docstrings of the standard library, of files evenly spread.
        n: at most.

    Raises:
        DataError: if the source cannot be read or is empty.
    """
    if source is None:
        return spread_docs(n)
    found = list(islice(documents(source), n))
    if not found:
        raise DataError(f"{source} holds no text", hint="give a file with a few paragraphs")
    return found
