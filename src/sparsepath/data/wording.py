"""How values of a table are shown in messages."""

from collections import Counter
from collections.abc import Iterable


def most_common(counts: Counter[str], n: int = 5) -> str:
    """Name the most frequent values with their counts, for messages."""
    return ", ".join(f"{shorten(value)} ({count:,})" for value, count in counts.most_common(n))


def shorten(value: str, n_chars: int = 40) -> str:
    """Quote a value for a message, on one line and not too long."""
    line = " ".join(value.split())
    return f'"{line[: n_chars - 3]}..."' if len(line) > n_chars else f'"{line}"'


def names_list(names: Iterable[str], n: int = 10) -> str:
    """Name columns or labels, the first few only."""
    shown = [shorten(name) for name in names]
    return ", ".join(shown[:n]) + (f" and {len(shown) - n:,} more" if len(shown) > n else "")
