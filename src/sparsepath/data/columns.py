"""Which column holds the text and which the label.

Names decide first (`column_names.py`), then what the cells look like (`profile.py`). Where two
columns are equally good, the choice is the user's: the error lists them with examples. Columns
that only count, identify or date rows are never chosen by themselves.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, NamedTuple

from sparsepath.data.column_names import Role, name_rank
from sparsepath.data.header import has_header
from sparsepath.data.profile import Profile, profile_column
from sparsepath.data.rows import Row
from sparsepath.data.wording import names_list, shorten
from sparsepath.errors import DataError

Reason = Literal["given", "name", "content"]

_REASONS: dict[Reason, str] = {
    "given": "as asked",
    "name": "by its name",
    "content": "by its contents",
}

_POSITION = re.compile(r"column (\d+)")
_MUCH_LONGER = 1.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """The result of looking at a table."""

    names: tuple[str, ...]
    """All columns, unnamed ones by position (`column 1`)."""

    has_header: bool
    """Whether the first row holds the names."""

    text: int
    """Position of the text column."""

    label: int | None
    """Position of the label column; None if none was looked for."""

    group: int | None = None
    """Position of the column whose equal cells keep rows together; only where the user names it."""

    how_found: str
    """One sentence for the user."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Some rows of a table whose columns are not known yet."""

    where: str
    """The file, for messages."""

    names: tuple[str, ...] | None
    """Columns that the format names itself."""

    first_row: Row
    """The first row, which may be names."""

    rows: list[Row]
    """A random sample of the other rows, in their order."""


def find_columns(
    sample: Sample,
    *,
    text: str | None,
    label: str | None,
    group: str | None = None,
    wants_label: bool,
) -> Columns:
    """Name all columns and choose those of text and label.

    Args:
        sample: Rows to look at.
        text: The user's choice of text column, or None.
        label: The user's choice of label column, or None.
        group: The user's choice of a column whose equal cells keep rows together, or None.
        wants_label: Whether a label column must be found.

    Raises:
        DataError: if a chosen column is not there, no column can serve, several could, or two
            columns have the same name.
    """
    empty = profile_column([])
    profiles = [profile_column(cells) for cells in zip(*sample.rows, strict=True)]
    profiles = profiles or [empty] * len(sample.names or sample.first_row)
    header = sample.names is None and _is_header(sample, profiles, (text, label, group))
    names = sample.names or _names(sample.first_row, is_header=header)
    _check_names(sample.where, names)
    table = _Table(sample.where, names, profiles, sample.rows)
    group_at = _position(table, group)
    given_label_at = _position(table, label)
    taken = [at for at in (given_label_at, group_at) if at is not None]
    text_found = _find_text(table, text, taken=taken)
    found = [("text", text_found)]
    if wants_label or label is not None:
        taken = [at for at in (text_found.position, group_at) if at is not None]
        found.append(("label", _find_label(table, label, taken=taken)))
    label_at = found[1][1].position if len(found) > 1 else None
    if group_at is not None:
        if group_at == label_at:
            raise DataError(
                f"column {shorten(names[group_at])} is asked for as group and as label",
                hint="give different columns",
            )
        found.append(("group", _Found(group_at, "given")))
    no_names = sample.names is None and not header
    return Columns(
        names=names,
        has_header=not no_names,
        text=text_found.position,
        label=label_at,
        group=group_at,
        how_found=_sentence(names, found, no_names=no_names),
    )


class _Table(NamedTuple):
    """A table with its columns named and looked at."""

    where: str
    names: tuple[str, ...]
    profiles: list[Profile]
    rows: list[Row]


class _Found(NamedTuple):
    """A chosen column and what spoke for it."""

    position: int
    reason: Reason


def _is_header(sample: Sample, profiles: list[Profile], given: tuple[str | None, ...]) -> bool:
    cells = [cell.strip() for cell in sample.first_row]
    if any(name in cells for name in given if name is not None):
        return True
    return has_header(sample.first_row, profiles)


def _names(first_row: Row, *, is_header: bool) -> tuple[str, ...]:
    given = [cell.strip() if is_header else "" for cell in first_row]
    return tuple(name or f"column {at}" for at, name in enumerate(given, start=1))


def _check_names(where: str, names: tuple[str, ...]) -> None:
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise DataError(
            f"{where} has several columns of the same name: {names_list(twice)}",
            hint="give every column a name of its own in the first row",
        )


def _position(table: _Table, given: str | None) -> int | None:
    """Where the user's column is; by name, else by position as in `column 2`."""
    if given is None:
        return None
    if given in table.names:
        return table.names.index(given)
    numbered = _POSITION.fullmatch(given.strip())
    if numbered and 1 <= int(numbered[1]) <= len(table.names):
        return int(numbered[1]) - 1
    close = get_close_matches(given, table.names, n=1)
    advice = "name one of these, or rename the column in the file"
    raise DataError(
        f"{table.where} has no column {shorten(given)}; it has {names_list(table.names)}",
        hint=f"did you mean {shorten(close[0])}?" if close else advice,
    )


def _find_text(table: _Table, given: str | None, *, taken: Sequence[int]) -> _Found:
    at = _position(table, given)
    if at is not None:
        if at in taken:
            raise DataError(
                f"column {shorten(table.names[at])} is asked for as text and as label or group",
                hint="give different columns",
            )
        return _Found(at, "given")
    usable = [
        at
        for at, profile in enumerate(table.profiles)
        if at not in taken
        and profile.n
        and not profile.is_numeric
        and not _is_bookkeeping(table, at)
    ]
    for ranks in ({0}, {1, 2}):
        named = [at for at in usable if name_rank(table.names[at], "text") in ranks]
        if named:
            return _Found(_longest(table, named), "name")
    unlabelled = [at for at in usable if name_rank(table.names[at], "label") != 0] or usable
    prose = [at for at in unlabelled if table.profiles[at].share_prose >= 0.3]
    varied = [at for at in prose or unlabelled if table.profiles[at].share_distinct >= 0.2]
    candidates = varied or prose or unlabelled
    if not candidates:
        raise DataError(
            f"no column of {table.where} looks like text: {_described(table, _all(table))}",
            hint="name the column of the texts with --text-column",
        )
    return _Found(_longest(table, candidates), "content")


def _find_label(table: _Table, given: str | None, *, taken: Sequence[int]) -> _Found:
    at = _position(table, given)
    if at is not None:
        return _Found(at, "given")
    usable = [at for at in _all(table) if at not in taken and not _is_bookkeeping(table, at)]
    plain = [at for at in usable if name_rank(table.names[at], "label") == 0]
    if plain:
        chosen = _only(table, _repeating(table, plain) or plain)
        return _Found(_in_words(table, chosen, usable), "name")
    repeating = _repeating(table, usable)
    for rank in (1, 2):
        named = [at for at in repeating if name_rank(table.names[at], "label") == rank]
        if named:
            return _Found(_only(table, named), "name")
    candidates = repeating or (usable if len(usable) == 1 else [])
    if not candidates:
        raise DataError(
            f"no column of {table.where} looks like a label: {_described(table, _all(table))}",
            hint="name the column of the labels with --label-column",
        )
    return _Found(_only(table, candidates), "content")


def _all(table: _Table) -> range:
    return range(len(table.names))


def _is_bookkeeping(table: _Table, at: int) -> bool:
    """Row numbers, identifiers and dates, by name (if they do not repeat) or by content."""
    profile = table.profiles[at]
    if profile.is_dates:
        return True
    identifies = name_rank(table.names[at], "index") == 0 and profile.share_distinct > 0.5
    return identifies or (profile.is_counting and profile.n > 2)


def _repeating(table: _Table, positions: Sequence[int]) -> list[int]:
    profiles = table.profiles
    return [at for at in positions if profiles[at].repeats and not profiles[at].is_fractional]


def _longest(table: _Table, positions: list[int]) -> int:
    """The column with clearly the longest texts, or an error."""
    ordered = sorted(positions, key=lambda at: -table.profiles[at].mean_chars)
    first, *others = ordered
    rival = table.profiles[others[0]].mean_chars if others else 0.0
    if others and table.profiles[first].mean_chars < _MUCH_LONGER * rival:
        raise _ambiguous(table, "text", positions)
    return first


def _only(table: _Table, positions: list[int]) -> int:
    """The one column, or of columns that say the same in other words the most readable."""
    first = positions[0]
    if not all(_say_the_same(table, first, other) for other in positions[1:]):
        raise _ambiguous(table, "label", positions)
    return min(positions, key=lambda at: table.profiles[at].is_numeric)


def _in_words(table: _Table, at: int, usable: Sequence[int]) -> int:
    """Another label column that writes out what a column of numbers means, if there is one."""
    if not table.profiles[at].is_numeric:
        return at
    for other in _repeating(table, usable):
        is_label = name_rank(table.names[other], "label") is not None
        if is_label and not table.profiles[other].is_numeric and _say_the_same(table, at, other):
            return other
    return at


def _say_the_same(table: _Table, one: int, other: int) -> bool:
    pairs = {(row[one].strip(), row[other].strip()) for row in table.rows}
    return len(pairs) == len({pair[0] for pair in pairs}) == len({pair[1] for pair in pairs})


def _ambiguous(table: _Table, role: Role, positions: Sequence[int]) -> DataError:
    names = [table.names[at] for at in positions]
    return DataError(
        f"{len(names)} columns of {table.where} could be the {role}: "
        f"{_described(table, positions)}",
        hint="choose one, for example: " + f"--{role}-column '{names[0]}'",
    )


def _described(table: _Table, positions: Sequence[int]) -> str:
    """Columns with what is in them."""
    described = []
    for at in positions[:8]:
        values = table.profiles[at].values
        examples = ", ".join(shorten(value, 30) for value in sorted(values)[:3]) or "nothing"
        described.append(f"{shorten(table.names[at])} ({len(values):,} values: {examples})")
    return "; ".join(described)


def _sentence(names: tuple[str, ...], found: list[tuple[str, _Found]], *, no_names: bool) -> str:
    parts = [
        f"{role} column {shorten(names[one.position])} ({_REASONS[one.reason]})"
        for role, one in found
    ]
    start = "the table has no header row, so its columns are named by position; "
    return (start if no_names else "") + ", ".join(parts)
