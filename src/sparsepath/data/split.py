"""Training, validation and test rows, with duplicates kept on one side.

Rows are first dealt out label by label. Then all rows of the same text follow the first of them,
and so do near duplicates (`minhash.py`), chains of them included; large families of near
duplicates go to the training rows. Rows of the same group, where the user named a column of groups,
stay together as well. With a separate test table nothing of it is moved; rows of the table that
repeat one of its texts, or share a group with it, are left out instead.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sparsepath.data.duplicates import NEAR_THRESHOLDS
from sparsepath.data.families import (
    TEST,
    TRAIN,
    VALID,
    Alike,
    Families,
    Mask,
    deal,
    find_alike,
    find_families,
    join_groups,
    keep_together,
    teach_every_label,
)
from sparsepath.data.minhash import Ints
from sparsepath.data.sampling import MIN_PER_LABEL
from sparsepath.data.tables import Table
from sparsepath.data.wording import most_common, names_list, shorten
from sparsepath.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """All rows, those of a separate test table at the end, and which part each belongs to."""

    texts: list[str]
    """One per row."""

    labels: list[str]
    """One per row."""

    label_names: list[str]
    """Different labels that are learnt; numbers in the order of their values."""

    label_ids: Ints
    """Position in `label_names`, one per row; -1 for a label that was left out."""

    row_ids: list[int]
    """Where each row was in its source."""

    train: Ints
    """Positions of the training rows, ascending."""

    valid: Ints
    """Positions of the validation rows, ascending."""

    test: Ints
    """Positions of the test rows, ascending."""

    n_exact_moved: int
    """Rows moved (or, with a separate test table, left out) because of an equal text."""

    n_near_moved: int
    """The same because of a text that is almost equal."""

    n_group_moved: int
    """The same because of their group."""

    has_own_test: bool
    """Whether the test rows come from a separate table."""

    notes: list[str]
    """Sentences on what was moved or left out, and on labels that lack rows somewhere."""


def split_table(
    table: Table,
    *,
    test: Table | None = None,
    seed: int = 0,
    valid_share: float = 0.1,
    test_share: float = 0.2,
    drop_rare: bool = False,
) -> Split:
    """Split a table by label and seed; the same input and seed give the same split.

    Args:
        table: Rows to split.
        test: Rows of a separate test table; then `test_share` does not apply.
        seed: For the assignment.
        valid_share: Validation rows per row of the table, 0 to 1.
        test_share: Test rows per row of the table, 0 to 1.
        drop_rare: Leave out labels with too few rows, with a note, instead of refusing the table.

    Raises:
        DataError: if a label has too few rows to be in every part, if the test table has labels
            that the table has not, or if copies leave a part without rows.
    """
    rows = _gather(table, test, drop_rare=drop_rare)
    alike = find_alike(rows.texts)
    repeats = _Repeats.none(len(rows.texts))
    if test is not None:
        _check_test_labels(table, test)
        repeats = _repeats_of_test(alike, rows)
    usable = rows.is_own & rows.is_learnt & ~repeats.any
    _check_left(rows, usable)
    families = find_families(alike, usable)
    joined = None if rows.groups is None else join_groups(families.family, rows.groups, usable)
    kin = _Kin(alike.same, families.family, joined)
    shares = (valid_share, 0.0 if test else test_share)
    dealt = _deal_together(rows.labels, usable, kin, seed, shares)
    dealt.part[~rows.is_own & rows.is_learnt] = TEST
    _check_parts(dealt.part, len(np.unique(alike.same)), table.group_column)
    names = sorted(set(table.labels) - rows.rare)
    notes = [
        *_rare_note(table, rows.rare),
        *_repeats_note(repeats),
        *_moved_note(dealt, families),
        *_groups_note(table, dealt, repeats),
        *_contradiction_note(alike.same, rows.labels),
        *_missing_notes(dealt.part, rows.labels, names),
    ]
    return _split(rows, names, dealt, repeats, notes)


class _Rows(NamedTuple):
    """All rows, those of a separate test table at the end."""

    texts: list[str]
    labels: list[str]
    row_ids: list[int]
    groups: list[str] | None
    """None without a column of groups."""
    is_own: Mask
    """Rows of the table itself."""
    is_learnt: Mask
    """Rows whose label is learnt."""
    rare: set[str]
    """Labels that are left out."""


def _gather(table: Table, test: Table | None, *, drop_rare: bool) -> _Rows:
    rare = _rare_labels(table, MIN_PER_LABEL - (test is not None), drop_rare=drop_rare)
    labels = table.labels + (test.labels if test else [])
    groups = table.groups
    if groups is not None and test is not None:
        groups = groups + (test.groups or [""] * len(test.texts))
    return _Rows(
        texts=table.texts + (test.texts if test else []),
        labels=labels,
        row_ids=table.row_ids + (test.row_ids if test else []),
        groups=groups,
        is_own=np.arange(len(labels)) < len(table.labels),
        is_learnt=np.array([label not in rare for label in labels], dtype=np.bool_),
        rare=rare,
    )


def _split(
    rows: _Rows, names: list[str], dealt: "_Dealt", repeats: "_Repeats", notes: list[str]
) -> Split:
    """Put the result together."""
    ids = {name: at for at, name in enumerate(names)}
    return Split(
        texts=rows.texts,
        labels=rows.labels,
        label_names=names,
        label_ids=np.array([ids.get(label, -1) for label in rows.labels], dtype=np.int64),
        row_ids=rows.row_ids,
        train=np.flatnonzero(dealt.part == TRAIN),
        valid=np.flatnonzero(dealt.part == VALID),
        test=np.flatnonzero(dealt.part == TEST),
        n_exact_moved=dealt.n_exact_moved + int(repeats.exact.sum()),
        n_near_moved=dealt.n_near_moved + int(repeats.near.sum()),
        n_group_moved=dealt.n_group_moved + int(repeats.grouped.sum()),
        has_own_test=not bool(rows.is_own.all()),
        notes=notes,
    )


class _Repeats(NamedTuple):
    """Rows of the table that repeat a text of the test table."""

    exact: Mask
    near: Mask
    grouped: Mask

    @classmethod
    def none(cls, n: int) -> "_Repeats":
        """No row of `n` does."""
        return cls(*(np.zeros(n, dtype=np.bool_) for _ in range(3)))

    @property
    def any(self) -> Mask:
        """Rows that may not be learnt from."""
        return self.exact | self.near | self.grouped


class _Kin(NamedTuple):
    """For each row a number that all rows have which must stay with it."""

    same: Ints
    """Because their texts are equal."""
    near: Ints
    """Because their texts are nearly equal, or equal."""
    joined: Ints | None
    """Because of that or of their group; None without groups."""


class _Dealt(NamedTuple):
    part: Ints
    n_exact_moved: int
    n_near_moved: int
    n_group_moved: int


def _deal_together(
    labels: Sequence[str],
    usable: Mask,
    kin: _Kin,
    seed: int,
    shares: tuple[float, float],
) -> _Dealt:
    dealt = deal(labels, usable, seed, shares)
    exact = keep_together(dealt, kin.same)
    near = keep_together(exact, kin.near)
    grouped = near
    if kin.joined is not None:
        # A large group is what the user says belongs together, so it may well be tested on.
        grouped = keep_together(near, kin.joined, teaches_large=False)
    part = teach_every_label(grouped, labels, kin.near if kin.joined is None else kin.joined)
    return _Dealt(
        part,
        int((dealt != exact).sum()),
        int((exact != near).sum()),
        int((near != grouped).sum()),
    )


def _rare_labels(table: Table, least: int, *, drop_rare: bool) -> set[str]:
    counts = Counter(table.labels)
    rare = {label: n for label, n in counts.items() if n < least}
    if not rare:
        return set()
    if drop_rare and len(counts) - len(rare) >= 2:
        return set(rare)
    raise DataError(
        f"{len(rare):,} of {len(counts):,} labels have fewer than {least} rows, too few for every "
        f"part of the split: {most_common(Counter(rare))}",
        hint='add rows for them, remove these rows, or give them one common label such as "other"',
    )


def _check_test_labels(table: Table, test: Table) -> None:
    known = set(table.labels)
    unseen = Counter(label for label in test.labels if label not in known)
    if unseen:
        raise DataError(
            f"the test table has {len(unseen):,} labels that the training table has not, in "
            f"{unseen.total():,} rows: {most_common(unseen)}",
            hint="correct their spelling, remove these test rows, or add training rows for them; "
            f"the training table has {names_list(sorted(known), 5)}",
        )


def _repeats_of_test(alike: Alike, rows: _Rows) -> _Repeats:
    own, tested, groups = rows.is_own & rows.is_learnt, ~rows.is_own, rows.groups
    n = len(own)
    in_test = np.zeros(n, dtype=np.bool_)
    in_test[alike.same[tested]] = True
    near_test = np.zeros(n, dtype=np.bool_)
    near_test[alike.first[in_test[alike.second]]] = True
    near_test[alike.second[in_test[alike.first]]] = True
    exact = own & in_test[alike.same]
    near = own & near_test[alike.same] & ~exact
    grouped = np.zeros(n, dtype=np.bool_)
    if groups is not None:
        known = {groups[row] for row in np.flatnonzero(tested).tolist()} - {""}
        grouped = np.array([group in known for group in groups], dtype=np.bool_)
        grouped &= own & ~exact & ~near
    return _Repeats(exact, near, grouped)


def _check_left(rows: _Rows, usable: Mask) -> None:
    """Refuse a table that hardly has anything beyond its own test table."""
    before = {rows.labels[row] for row in np.flatnonzero(rows.is_own & rows.is_learnt).tolist()}
    lost = before - {rows.labels[row] for row in np.flatnonzero(usable).tolist()}
    if lost:
        raise DataError(
            f"all training rows of {len(lost):,} of {len(before):,} labels repeat rows of the test "
            f"table: {names_list(sorted(lost), 5)}",
            hint="give a test table of other rows, or leave it out to have one split off",
        )


def _check_parts(part: Ints, n_texts: int, group_column: str | None) -> None:
    empty = [name for name, at in (("validation", VALID), ("test", TEST)) if not (part == at).any()]
    if not (part == TRAIN).any():
        empty.append("training")
    if empty and group_column is not None:
        raise DataError(
            f"no rows are left for {' and '.join(empty)}: the groups of column "
            f"{shorten(group_column)} are too few or too large, and a group stays on one side",
            hint="name a column with more groups, or leave --group-column out",
        )
    if empty:
        raise DataError(
            f"no rows are left for {' and '.join(empty)}: the table has only {n_texts:,} different "
            "texts, and copies of a text are kept on one side of the split",
            hint="add rows with other texts",
        )


def _rare_note(table: Table, rare: set[str]) -> list[str]:
    if not rare:
        return []
    n_rows = sum(label in rare for label in table.labels)
    return [f"{len(rare):,} labels with too few rows left out ({n_rows:,} rows)"]


def _repeats_note(repeats: _Repeats) -> list[str]:
    n_exact, n_near = int(repeats.exact.sum()), int(repeats.near.sum())
    if not n_exact + n_near:
        return []
    return [
        f"{n_exact + n_near:,} training rows left out because they repeat a test row "
        f"({n_exact:,} exactly, {n_near:,} nearly)"
    ]


def _moved_note(dealt: _Dealt, families: Families) -> list[str]:
    notes = []
    n_moved = dealt.n_exact_moved + dealt.n_near_moved
    if n_moved:
        notes.append(
            f"{n_moved:,} rows moved so that duplicates are on one side of the split "
            f"({dealt.n_exact_moved:,} exact, {dealt.n_near_moved:,} near)"
        )
    if families.threshold != NEAR_THRESHOLDS[0]:
        limit = "equal" if families.threshold is None else f"{families.threshold:.0%} alike"
        notes.append(
            "most texts are variations of one another, so only texts that are "
            f"{limit} were kept on one side of the split"
        )
    return notes


def _groups_note(table: Table, dealt: _Dealt, repeats: _Repeats) -> list[str]:
    if table.groups is None:
        return []
    n_groups = len(set(table.groups) - {""})
    n = dealt.n_group_moved + int(repeats.grouped.sum())
    return [
        f"rows with the same {shorten(table.group_column or '')} are on one side of the split: "
        f"{n_groups:,} groups, {n:,} rows moved or left out for it"
    ]


def _contradiction_note(same: Ints, labels: Sequence[str]) -> list[str]:
    labels_of: dict[int, set[str]] = {}
    for group, label in zip(same.tolist(), labels, strict=True):
        labels_of.setdefault(group, set()).add(label)
    n = sum(len(found) > 1 for found in labels_of.values())
    return [f"{n:,} texts come up with different labels; no model can get all of them"] if n else []


def _missing_notes(part: Ints, labels: Sequence[str], names: Sequence[str]) -> list[str]:
    notes = []
    for title, at in (("validation", VALID), ("test", TEST)):
        present = {labels[row] for row in np.flatnonzero(part == at).tolist()}
        missing = [name for name in names if name not in present]
        if missing:
            notes.append(f"{len(missing):,} labels have no {title} row: {names_list(missing, 5)}")
    return notes
