"""Token ids of a corpus in one memory-mapped file, and which part of it a training step reads.

A step's rows depend on the seed, the step and the place in the batch only, so a training that goes
on at step 10,000 reads what it would have read, without reading what came before; and a corpus of
any size opens at once. Each pass over the corpus visits every stretch of tokens once, in an order
of its own: a permutation that is computed (a small Feistel cipher), never stored.

Files of a folder: `tokens.bin` (little-endian unsigned integers of 2 or 4 bytes) and `tokens.json`
(their number and size, the vocabulary, the tokenizer's sha256, the bytes of text they stand for).
"""

import hashlib
import json
import mmap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from sparsepath.errors import DataError

TOKENS_FILE, INDEX_FILE = "tokens.bin", "tokens.json"

N_ROUNDS = 4
"""Rounds of the cipher that orders stretches."""

Ids = NDArray[np.int64]


class ShardIndex(BaseModel):
    """What a file of tokens holds."""

    model_config = ConfigDict(extra="forbid")

    n_tokens: int
    itemsize: int
    vocabulary: int
    tokenizer_sha256: str
    text_bytes: int


class TokenShard:
    """A corpus as one long row of token ids, cut into stretches of equal length."""

    def __init__(self, folder: Path, *, length: int) -> None:
        """Open a corpus.

        Args:
            folder: what `write_shard` wrote.
            length: tokens of a stretch, at least 2.

        Raises:
            DataError: if files are missing or do not fit each other, or the corpus is shorter than
                a stretch.
        """
        self.index = _read_index(folder)
        path = folder / TOKENS_FILE
        size = path.stat().st_size if path.exists() else 0
        if size != self.index.n_tokens * self.index.itemsize:
            raise DataError(
                f"{path} has {size} bytes, {INDEX_FILE} promises "
                f"{self.index.n_tokens * self.index.itemsize}",
                hint="delete the folder; it is written again from the text",
            )
        if self.index.n_tokens < length:
            raise DataError(
                f"{folder} holds {self.index.n_tokens} tokens, a row needs {length}",
                hint="use more text or a shorter data.length",
            )
        self.length = length
        self._tokens: NDArray[Any] = np.memmap(path, dtype=f"<u{self.index.itemsize}", mode="r")

    @property
    def n_stretches(self) -> int:
        """Stretches that a pass over the corpus visits."""
        return self.index.n_tokens // self.length

    def stretch(self, number: int) -> Ids:
        """Give one stretch, [length]."""
        start = number * self.length
        found: Ids = self._tokens[start : start + self.length].astype(np.int64)
        return found

    def batch(self, seed: int, step: int, batch_size: int) -> Ids:
        """Give the rows of a training step, [batch_size, length].

        Args:
            seed: decides the order of the stretches.
            step: steps before this one, from 0.
            batch_size: rows of every step.
        """
        places = [divmod(step * batch_size + i, self.n_stretches) for i in range(batch_size)]
        rows = np.stack(
            [self.stretch(permuted(place, self.n_stretches, seed, n)) for n, place in places]
        )
        self._let_go()
        return rows

    def _let_go(self) -> None:
        """Give mapped pages back; the system maps many around each that is read."""
        mapped = getattr(self._tokens, "_mmap", None)
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def permuted(place: int, n: int, seed: int, number: int) -> int:
    """Give where a place goes in a pseudo-random permutation of `n` places.

    Args:
        place: 0 to n - 1.
        n: places.
        seed: decides the permutations.
        number: which of them, such as the number of the pass.
    """
    if n == 1:
        return 0
    half = max(1, ((n - 1).bit_length() + 1) // 2)
    # A Feistel cipher permutes 4**half places; those beyond n are walked through.
    while True:
        left, right = place >> half, place & ((1 << half) - 1)
        for step in range(N_ROUNDS):
            left, right = right, left ^ _scrambled(right, seed, number, step, half)
        place = (left << half) | right
        if place < n:
            return place


def _scrambled(value: int, seed: int, number: int, step: int, bits: int) -> int:
    """Give some bits that depend on all that is given."""
    key = f"{seed},{number},{step},{value}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") % (1 << bits)


def write_shard(
    folder: Path,
    documents: Iterable[Iterable[int]],
    *,
    vocabulary: int,
    tokenizer_sha256: str,
    text_bytes: list[int],
) -> ShardIndex:
    """Write a corpus, one document at a time; the index comes last, so half a corpus is none.

    Args:
        folder: made if it is not there.
        documents: token ids of each, all below `vocabulary`.
        vocabulary: number of different tokens.
        tokenizer_sha256: of the tokenizer file.
        text_bytes: bytes of the texts so far, summed up while documents are read.

    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX_FILE).unlink(missing_ok=True)
    itemsize = 2 if vocabulary <= 1 << 16 else 4
    n_tokens = 0
    with (folder / TOKENS_FILE).open("wb") as file:
        for document in documents:
            ids = np.fromiter(document, dtype=np.int64).astype(f"<u{itemsize}")
            n_tokens += len(ids)
            file.write(ids.tobytes())
    index = ShardIndex(
        n_tokens=n_tokens,
        itemsize=itemsize,
        vocabulary=vocabulary,
        tokenizer_sha256=tokenizer_sha256,
        text_bytes=sum(text_bytes),
    )
    unfinished = folder / f"{INDEX_FILE}.tmp"
    unfinished.write_text(index.model_dump_json(indent=2), encoding="utf-8")
    unfinished.replace(folder / INDEX_FILE)
    return index


def is_written(folder: Path, tokenizer_sha256: str) -> bool:
    """Say whether a folder holds a whole corpus of that tokenizer."""
    return (folder / INDEX_FILE).exists() and (
        _read_index(folder).tokenizer_sha256 == tokenizer_sha256
    )


def _read_index(folder: Path) -> ShardIndex:
    """Read what a folder holds.

    Raises:
        DataError: if it holds no corpus.
    """
    try:
        return ShardIndex.model_validate(json.loads((folder / INDEX_FILE).read_text("utf-8")))
    except (OSError, ValueError, ValidationError) as err:
        raise DataError(
            f"{folder} holds no corpus of tokens ({type(err).__name__})",
            hint="delete the folder; it is written again from the text",
        ) from err
