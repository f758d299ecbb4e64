"""What the cells of one column look like, from a sample of rows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

MISSING = frozenset({"", "nan", "NaN", "NAN", "null", "NULL", "None", "<NA>", "#N/A"})
"""Cells that stand for no text at all, after stripping."""

MISSING_LABELS = frozenset({"", "nan", "NaN", "NAN", "<NA>", "#N/A"})
"""Cells that stand for no label; "None" and "null" may well be labels."""

_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan|NaN)")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?|\d{4}年\d{1,2}月.*|\d{1,2}:\d{2}.*")
_FEW_CHARS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """Facts about a column; all from the sampled rows, missing cells aside."""

    n: int
    """Cells that are not missing."""

    values: frozenset[str]
    """Different cells, stripped."""

    share_numeric: float
    """Share of cells that are numbers."""

    share_dates: float
    """Share of cells that are dates or times."""

    share_prose: float
    """Share of cells with several words, or with letters beyond ASCII; mostly letters."""

    mean_chars: float
    """Mean length, in characters."""

    median_chars: float
    """Median length, in characters."""

    is_counting: bool
    """Whether the cells are different integers in rising order, like row numbers."""

    @property
    def is_numeric(self) -> bool:
        """Whether practically all cells are numbers."""
        return self.n > 0 and self.share_numeric >= 0.95

    @property
    def is_dates(self) -> bool:
        """Whether practically all cells are dates or times."""
        return self.n > 0 and self.share_dates >= 0.95

    @property
    def is_fractional(self) -> bool:
        """Whether the cells are numbers and not all whole (1.0 counts as whole)."""
        return self.is_numeric and not all(is_whole(value) for value in self.values)

    @property
    def repeats(self) -> bool:
        """Whether few short values come up again and again, as labels do."""
        return 2 <= len(self.values) <= self.n // 2 and self.mean_chars <= _FEW_CHARS

    @property
    def share_distinct(self) -> float:
        """Different cells per cell."""
        return len(self.values) / max(1, self.n)


def profile_column(cells: Sequence[str]) -> Profile:
    """Summarise the cells of one column."""
    kept = [stripped for cell in cells if (stripped := cell.strip()) not in MISSING]
    n = len(kept)
    values = frozenset(kept)
    lengths = [len(cell) for cell in kept]
    return Profile(
        n=n,
        values=values,
        share_numeric=sum(is_number(cell) for cell in kept) / max(1, n),
        share_dates=sum(_DATE.fullmatch(cell) is not None for cell in kept) / max(1, n),
        share_prose=sum(_is_prose(cell) for cell in kept) / max(1, n),
        mean_chars=fmean(lengths) if kept else 0.0,
        median_chars=float(median(lengths)) if kept else 0.0,
        is_counting=n > 1 and _counts(kept),
    )


def is_number(cell: str) -> bool:
    """Whether a cell is written like a number."""
    return _NUMBER.fullmatch(cell) is not None


def is_whole(cell: str) -> bool:
    """Whether a cell is an integer, also when written as 1.0."""
    head, _, tail = cell.partition(".")
    return _INTEGER.fullmatch(head) is not None and not tail.strip("0")


def _is_prose(cell: str) -> bool:
    start = cell[:400]
    n_letters = sum(char.isalpha() for char in start)
    has_parts = " " in start or not start.isascii()
    return has_parts and n_letters >= 0.5 * len(start.replace(" ", ""))


def _counts(cells: list[str]) -> bool:
    if not all(_INTEGER.fullmatch(cell) and len(cell) < 19 for cell in cells):
        return False
    numbers = [int(cell) for cell in cells]
    return all(before < after for before, after in pairwise(numbers))
