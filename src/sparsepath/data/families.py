"""Families of rows that say the same, and dealing rows out so that families stay together."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.data.duplicates import NEAR_THRESHOLDS, connected, normal_form, same_text_groups
from sparsepath.data.minhash import Ints, near_pairs

Mask = NDArray[np.bool_]

TRAIN, VALID, TEST, OUT = 0, 1, 2, 3
"""Parts of a split; OUT rows are in none."""

MAX_FAMILY_SHARE = 0.5
"""Near duplicates are sought more strictly if one family of them has more of the rows."""

_LARGE_FAMILY_SHARE = 0.01
_LARGE_FAMILY_ROWS = 10


class Alike(NamedTuple):
    """Which rows of a list of texts are equal or almost equal."""

    same: Ints
    """For each row the first row of the same text."""

    first: Ints
    """One text of each pair of near duplicates, as the first row that has it."""

    second: Ints
    """The other text of each pair."""

    similarity: NDArray[np.float64]
    """Share of n-grams in common, for each pair."""


class Families(NamedTuple):
    """Rows that have to stay together."""

    family: Ints
    """For each row a number that all rows of its family have."""

    threshold: float | None
    """From which similarity texts count as near duplicates; None if only equal texts do."""


def find_alike(texts: Sequence[str]) -> Alike:
    """Find equal and almost equal texts."""
    forms = [normal_form(text) for text in texts]
    same = same_text_groups(forms)
    unique = np.unique(same)
    pairs = near_pairs([forms[at] for at in unique], threshold=NEAR_THRESHOLDS[0])
    return Alike(same, unique[pairs.first], unique[pairs.second], pairs.similarity)


def find_families(alike: Alike, usable: Mask) -> Families:
    """Join near duplicates, and their near duplicates, and so on, among the usable rows.

    Where chains join most of the table (sentences made from few templates), only closer texts
    count as near.
    """
    n = len(usable)
    has_usable = np.zeros(n, dtype=np.bool_)
    has_usable[alike.same[usable]] = True
    inside = has_usable[alike.first] & has_usable[alike.second]
    for threshold in NEAR_THRESHOLDS:
        near = inside & (alike.similarity >= threshold)
        family = connected(n, alike.first[near], alike.second[near])[alike.same]
        if _largest(family[usable]) <= max(_LARGE_FAMILY_ROWS, MAX_FAMILY_SHARE * usable.sum()):
            return Families(family, threshold)
    return Families(alike.same, None)


def deal(labels: Sequence[str], usable: Mask, seed: int, shares: tuple[float, float]) -> Ints:
    """Deal the usable rows out at random, label by label.

    A label with three rows or more gets at least one row in each part whose share is not 0; with
    fewer rows training comes first, then validation.

    Args:
        labels: One per row.
        usable: Which rows to deal; the others are OUT.
        seed: For the order.
        shares: Of validation and of test rows.
    """
    generator = np.random.default_rng(seed)
    part = np.full(len(labels), OUT, dtype=np.int64)
    ids = np.unique(np.asarray(labels), return_inverse=True)[1]
    ids[~usable] = -1
    order = np.argsort(ids, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(ids[order])) + 1):
        if len(rows) and usable[rows[0]]:
            shuffled = generator.permutation(rows)
            n_valid, n_test = _held_out(len(rows), shares)
            part[shuffled] = TRAIN
            part[shuffled[:n_valid]] = VALID
            part[shuffled[n_valid : n_valid + n_test]] = TEST
    return part


def join_groups(family: Ints, groups: Sequence[str], usable: Mask) -> Ints:
    """Join the families that have usable rows of the same group; an empty group is none.

    Args:
        family: For each row a row number that all rows of its family have.
        groups: One per row.
        usable: Rows that count.
    """
    member = np.array([group != "" for group in groups], dtype=np.bool_) & usable
    rows = np.flatnonzero(member)
    if not len(rows):
        return family
    ids = np.unique([groups[row] for row in rows.tolist()], return_inverse=True)[1]
    order = np.argsort(ids, kind="stable")
    is_next = np.diff(ids[order]) == 0
    first, second = rows[order[:-1]][is_next], rows[order[1:]][is_next]
    return connected(len(family), family[first], family[second])[family]


def keep_together(part: Ints, family: Ints, *, teaches_large: bool = True) -> Ints:
    """Put every family where its first row is.

    Args:
        part: Where each row was dealt.
        family: What has to stay together.
        teaches_large: Whether large families go to the training rows, wherever they were dealt.
    """
    rows = np.flatnonzero(part != OUT)
    moved = part.copy()
    if not len(rows):
        return moved
    _, first, member, sizes = np.unique(
        family[rows], return_index=True, return_inverse=True, return_counts=True
    )
    parts = part[rows[first]]
    if teaches_large:
        parts[sizes > max(_LARGE_FAMILY_ROWS, _LARGE_FAMILY_SHARE * len(rows))] = TRAIN
    moved[rows] = parts[member]
    return moved


def teach_every_label(part: Ints, labels: Sequence[str], family: Ints) -> Ints:
    """Move the families of labels that have no training row to the training rows."""
    taught = {labels[row] for row in np.flatnonzero(part == TRAIN).tolist()}
    held_out = np.flatnonzero((part == VALID) | (part == TEST)).tolist()
    families = [family[row] for row in held_out if labels[row] not in taught]
    moved = part.copy()
    moved[np.isin(family, families) & (part != OUT)] = TRAIN
    return moved


def _held_out(n: int, shares: tuple[float, float]) -> tuple[int, int]:
    n_valid, n_test = (max(1, round(n * share)) if share else 0 for share in shares)
    n_valid = min(n_valid, max(0, n - 1))
    return n_valid, min(n_test, max(0, n - 1 - n_valid))


def _largest(family: Ints) -> int:
    return int(np.bincount(family).max()) if len(family) else 0
