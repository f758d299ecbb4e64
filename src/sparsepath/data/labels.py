"""Whether a column of labels can be learnt."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sparsepath.data.profile import is_number, is_whole
from sparsepath.data.wording import most_common, names_list, shorten
from sparsepath.errors import DataError

MAX_LABELS = 1_000
"""More different labels than this are taken for identifiers or texts."""

MAX_WHOLE_LABELS = 100
"""Most different values of a numeric column written with a decimal point (1.0, 2.0, ...)."""


def check_labels(where: str, column: str, counts: Counter[str]) -> None:
    """Refuse a column with one label or with too many.

    Raises:
        DataError: naming the values met.
    """
    if len(counts) < 2:
        raise DataError(
            f'{where}: column "{column}" has only one label: {most_common(counts)}',
            hint="add rows with another label, or choose another column with --label-column",
        )
    n_rows = counts.total()
    if len(counts) > MAX_LABELS:
        raise DataError(
            f'{where}: column "{column}" has {len(counts):,} different labels in {n_rows:,} rows '
            f"(such as {names_list(sorted(counts)[:3])}); at most {MAX_LABELS:,} can be learnt",
            hint="choose another column with --label-column, or merge labels into fewer",
        )


def whole_number_labels(where: str, column: str, counts: Counter[str]) -> dict[str, str]:
    """Find out whether labels are numbers with a fraction, which is no classification.

    Returns:
        New names for labels such as "1.0" (a data frame's way to write 1), all labels among the
        keys; empty if nothing is to be renamed.

    Raises:
        DataError: for fractions, or very many numbers with a decimal point.
    """
    if not counts or not all(is_number(label) for label in counts):
        return {}
    if all(label.lstrip("+-").isdigit() for label in counts):
        return {}
    if not all(is_whole(label) for label in counts) or len(counts) > MAX_WHOLE_LABELS:
        numbers = sorted(counts)[:4]
        raise DataError(
            f'{where}: column "{column}" holds {len(counts):,} different numbers '
            f"({names_list(numbers)}), not labels",
            hint="choose another column with --label-column, or cut the numbers into a few named "
            "ranges first (low, middle, high)",
        )
    return {label: label.partition(".")[0] for label in counts}


def known_label_ids(labels: Sequence[str], known: Sequence[str]) -> NDArray[np.int64]:
    """Give the number that a model has for the label of each row.

    Args:
        labels: one per row.
        known: the model's labels, in the order of its logits.

    Raises:
        DataError: if the model does not know one of them.
    """
    numbers = {name: number for number, name in enumerate(known)}
    unknown = sorted(set(labels) - set(numbers))
    if unknown:
        raise DataError(
            f"the model does not know the label {shorten(unknown[0])} ({len(unknown):,} such "
            "labels)",
            hint=f"use a table with the model's labels: {names_list(known, 8)}",
        )
    return np.array([numbers[label] for label in labels], dtype=np.int64)
