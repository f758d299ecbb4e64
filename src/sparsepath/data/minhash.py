"""Pairs of texts that share most of their character n-grams, found without comparing all pairs.

MinHash signatures, banded: texts that agree in all rows of one band become candidates, and each
candidate is checked on its real n-grams. Everything runs in numpy on blocks of texts.

Languages written without spaces get shorter n-grams, because there one character says as much as
a syllable or a word elsewhere: so that one changed word weighs about the same.

Shape letters: N texts, G n-grams of all texts end to end, S signature, P pairs.

Source: Broder 1997, "On the resemblance and containment of documents"; Leskovec, Rajaraman,
Ullman, "Mining of Massive Datasets", chapter 3 (bands).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

N_GRAM_WIDE = 2
"""Characters per n-gram in Chinese, Japanese and Korean texts."""

N_GRAM = 4
"""Characters per n-gram elsewhere."""

_N_BANDS = 16
_BAND_ROWS = 4
_N_HASHES = _N_BANDS * _BAND_ROWS
_N_NEIGHBOURS = 8
_SLACK = 0.15
_BLOCK_CHARS = 2_000_000
_BLOCK_PAIRS = 100_000
_HEAD_CHARS, _TAIL_CHARS = 1_500, 500
_MIX = np.uint64(0x9E3779B97F4A7C15)


class NearPairs(NamedTuple):
    """Pairs of positions whose texts are alike; `first < second`, no pair twice."""

    first: Ints
    second: Ints
    similarity: NDArray[np.float64]
    """Jaccard similarity of the n-gram sets, 0 to 1."""


def near_pairs(texts: Sequence[str], *, threshold: float) -> NearPairs:
    """Find pairs of texts of which the n-gram sets have a Jaccard similarity of `threshold`.

    A pair exactly at 0.8 is a candidate with probability 0.9998. In crowds (more than 9 texts
    that agree in a band) each text is compared with its nearest 8 only, which is enough to
    connect the crowd.

    Args:
        texts: Normalised texts; only the first 1,500 and last 500 characters count.
        threshold: Smallest similarity to report, 0.5 to 1.

    Returns:
        Pairs ordered by first, then second position. The result is deterministic.
    """
    kept = [_ends(text) for text in texts]
    is_wide = np.array([_is_wide(text) for text in kept], dtype=np.bool_)
    parts = [
        _pairs_of(kept, np.flatnonzero(is_wide), N_GRAM_WIDE, threshold),
        _pairs_of(kept, np.flatnonzero(~is_wide), N_GRAM, threshold),
    ]
    first, second, similarity = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.lexsort((second, first))
    return NearPairs(first[order], second[order], similarity[order])


def _ends(text: str) -> str:
    if len(text) <= _HEAD_CHARS + _TAIL_CHARS:
        return text
    return text[:_HEAD_CHARS] + text[-_TAIL_CHARS:]


def _is_wide(text: str) -> bool:
    """Whether at least three of ten characters come from the scripts beyond U+2E80."""
    return not text.isascii() and sum(char >= "\u2e80" for char in text) >= 0.3 * len(text)


def _pairs_of(texts: Sequence[str], rows: Ints, n_gram: int, threshold: float) -> NearPairs:
    """Pairs within some rows, as positions in the whole list."""
    chosen = [texts[row] for row in rows]
    signatures_NS = _signatures(chosen, n_gram)
    first, second = _candidates(signatures_NS, threshold - _SLACK)
    similarity = _similarities(chosen, n_gram, first, second)
    alike = similarity >= threshold
    return NearPairs(rows[first[alike]], rows[second[alike]], similarity[alike])


class _Grams(NamedTuple):
    """Different n-grams of some texts, as hashes, text after text."""

    hashes: NDArray[np.uint32]
    lengths: Ints


def _blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a list into runs of about `_BLOCK_CHARS` characters."""
    start = n_chars = 0
    for at, text in enumerate(texts):
        n_chars += len(text)
        if n_chars >= _BLOCK_CHARS:
            yield texts[start : at + 1]
            start, n_chars = at + 1, 0
    if start < len(texts):
        yield texts[start:]


def _grams(texts: Sequence[str], n_gram: int) -> _Grams:
    """Hash the different n-grams of each text; a shorter text is one gram, filled with spaces."""
    padded = [text if len(text) >= n_gram else text.ljust(n_gram) for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    n_windows_N = np.array([len(text) - n_gram + 1 for text in padded], dtype=np.int64)
    hashes = np.zeros(len(codes) - n_gram + 1, dtype=np.uint64)
    for at in range(n_gram):
        hashes = (hashes + codes[at : at + len(hashes)]) * _MIX
        hashes ^= hashes >> np.uint64(29)
    starts_N = np.concatenate([[0], np.cumsum(n_windows_N[:-1] + n_gram - 1)])
    owner = np.repeat(np.arange(len(padded)), n_windows_N)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(n_windows_N) - n_windows_N, n_windows_N)
    hashes = hashes[starts_N[owner] + within] >> np.uint64(32)
    keyed = _distinct((owner.astype(np.uint64) << np.uint64(32)) | hashes)
    lengths = np.bincount((keyed >> np.uint64(32)).astype(np.int64), minlength=len(padded))
    return _Grams(keyed.astype(np.uint32), lengths.astype(np.int64))


def _distinct(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Sorted without repetition; many times faster than the hash table of `np.unique`."""
    values.sort()
    is_new = np.ones(len(values), dtype=np.bool_)
    is_new[1:] = values[1:] != values[:-1]
    return values[is_new]


def _signatures(texts: Sequence[str], n_gram: int) -> NDArray[np.uint32]:
    """Smallest value of each of 64 hash functions over the n-grams of each text."""
    generator = np.random.default_rng(20_260_101)
    multipliers = generator.integers(0, 2**32, _N_HASHES, dtype=np.uint32) | np.uint32(1)
    masks = generator.integers(0, 2**32, _N_HASHES, dtype=np.uint32)
    signatures_NS = np.empty((len(texts), _N_HASHES), dtype=np.uint32)
    row = 0
    for block in _blocks(texts):
        hashes_G, lengths_N = _grams(block, n_gram)
        starts_N = np.cumsum(lengths_N) - lengths_N
        for at, (multiplier, mask) in enumerate(zip(multipliers, masks, strict=True)):
            values_G = (hashes_G ^ mask) * multiplier
            signatures_NS[row : row + len(block), at] = np.minimum.reduceat(values_G, starts_N)
        row += len(block)
    return signatures_NS


def _candidates(signatures: NDArray[np.uint32], least: float) -> tuple[Ints, Ints]:
    """Pairs that agree in a band and whose signatures promise a similarity of `least`."""
    n = len(signatures)
    bands = [_band(signatures, at) for at in range(_N_BANDS)]
    found = [np.empty(0, dtype=np.int64)]
    for at, band in enumerate(bands):
        # Sorting crowds by the next band as well puts the most similar texts side by side.
        order = np.lexsort((bands[(at + 1) % _N_BANDS], band))
        ordered = band[order]
        for distance in range(1, min(_N_NEIGHBOURS, n - 1) + 1):
            same = np.flatnonzero(ordered[distance:] == ordered[:-distance])
            one, other = order[same], order[same + distance]
            first, second = np.minimum(one, other), np.maximum(one, other)
            promising = _agreement(signatures, first, second) >= least
            found.append(first[promising] * n + second[promising])
    pairs = _distinct(np.concatenate(found).astype(np.uint64)).astype(np.int64)
    return pairs // max(n, 1), pairs % max(n, 1)


def _band(signatures: NDArray[np.uint32], at: int) -> NDArray[np.uint64]:
    key = np.zeros(len(signatures), dtype=np.uint64)
    for column in range(at * _BAND_ROWS, (at + 1) * _BAND_ROWS):
        key = (key + signatures[:, column]) * _MIX
        key ^= key >> np.uint64(31)
    return key


def _agreement(signatures: NDArray[np.uint32], first: Ints, second: Ints) -> NDArray[np.float64]:
    """Share of equal signature entries, an estimate of the similarity."""
    shares = np.empty(len(first), dtype=np.float64)
    for start in range(0, len(first), _BLOCK_PAIRS):
        part = slice(start, start + _BLOCK_PAIRS)
        shares[part] = (signatures[first[part]] == signatures[second[part]]).mean(axis=1)
    return shares


def _similarities(
    texts: Sequence[str], n_gram: int, first: Ints, second: Ints
) -> NDArray[np.float64]:
    """Jaccard similarity of the n-gram sets of each pair."""
    similarities_P = np.empty(len(first), dtype=np.float64)
    for start in range(0, len(first), _BLOCK_PAIRS // 10):
        part = slice(start, start + _BLOCK_PAIRS // 10)
        rows, at = np.unique(np.concatenate([first[part], second[part]]), return_inverse=True)
        grams = _grams([texts[row] for row in rows], n_gram)
        one, other = np.split(at.astype(np.int64), 2)
        similarities_P[part] = _jaccard(grams, one, other)
    return similarities_P


def _jaccard(grams: _Grams, one: Ints, other: Ints) -> NDArray[np.float64]:
    """Count, for each pair, the hashes that come up in both."""
    starts_N = np.cumsum(grams.lengths) - grams.lengths
    rows = np.concatenate([one, other])
    pair = np.tile(np.arange(len(one)), 2)
    lengths = grams.lengths[rows]
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    hashes = grams.hashes[np.repeat(starts_N[rows], lengths) + within].astype(np.uint64)
    keyed = np.sort((np.repeat(pair, lengths).astype(np.uint64) << np.uint64(32)) | hashes)
    both = keyed[1:][keyed[1:] == keyed[:-1]] >> np.uint64(32)
    n_both = np.bincount(both.astype(np.int64), minlength=len(one))
    n_either = grams.lengths[one] + grams.lengths[other] - n_both
    return n_both / n_either
