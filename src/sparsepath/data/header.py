"""Whether the first row of a delimited file names its columns."""

from collections.abc import Sequence

from sparsepath.data.column_names import is_known_name
from sparsepath.data.profile import MISSING, Profile, is_number

_LONG_CHARS = 40
_LONG_WORDS = 6


def has_header(first_row: Sequence[str], profiles: Sequence[Profile]) -> bool:
    """Weigh what each cell of the first row says against the rest of its column.

    A name among numbers, or a usual column name, speaks for a header; a cell that comes up again
    below it, a number among numbers or a whole sentence speaks against. A tie means no header,
    which loses no row.

    Args:
        first_row: Cells of the first row.
        profiles: What the other rows look like, one per column.
    """
    pairs = list(zip(first_row, profiles, strict=True))
    evidence = sum(_evidence(cell.strip(), profile) for cell, profile in pairs)
    first, below = pairs[0]
    if not first.strip() and below.is_counting and len(pairs) > 1:
        evidence += 2.0  # a data frame's index, whose column has no name
    return evidence > 0


def _evidence(cell: str, below: Profile) -> float:
    if below.n == 0:
        return 1.0 if is_known_name(cell) else 0.0
    if cell in MISSING:
        return 0.0
    known = 3.0 if is_known_name(cell) else 0.0
    if below.is_numeric:
        return -3.0 if is_number(cell) else known + 3.0
    if below.repeats:
        if cell in below.values:
            return -5.0
        return known + (2.0 if below.n >= 5 * len(below.values) else 1.0)
    return known + _evidence_of_prose(cell, below)


def _evidence_of_prose(cell: str, below: Profile) -> float:
    """A name is a word or two, and shorter than the texts below it."""
    if cell in below.values or len(cell) > _LONG_CHARS or len(cell.split()) >= _LONG_WORDS:
        return -2.0
    if len(cell) < 0.35 * below.median_chars and len(cell.split()) <= 3:
        return 1.0
    return -1.0
