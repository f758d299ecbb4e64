"""Statements that are written so often that SQLAlchemy's way to the driver costs too much.

It takes four times as long as SQLite itself takes for a record. The statements are still
SQLAlchemy's; their words are made once, and then the driver's own cursor is given them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from sqlalchemy import Dialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.sql import ClauseElement


@final
class Wording:
    """Knows the words of statements in one driver's dialect."""

    def __init__(self, dialect: Dialect) -> None:
        """Begin with none."""
        # SQLite's usual style numbers its parameters; with names, rows are alike for all drivers.
        is_sqlite = dialect.name == "sqlite"
        self._dialect = SQLiteDialect(paramstyle="named") if is_sqlite else dialect
        self._known: dict[ClauseElement, str] = {}

    def of(self, statement: ClauseElement) -> str:
        """Give the words of a statement that is made once, such as a constant of a module."""
        found = self._known.get(statement)
        if found is None:
            found = self._known[statement] = str(statement.compile(dialect=self._dialect))
        return found


@final
class Pen:
    """Writes with a driver's cursor, within a transaction."""

    def __init__(self, cursor: Any, words: Callable[[ClauseElement], str]) -> None:
        """Take a cursor, and what knows the words of statements."""
        self._cursor, self._words = cursor, words

    def row(self, statement: ClauseElement) -> Sequence[Any]:
        """Give the only row of a query."""
        self._cursor.execute(self._words(statement))
        found: Sequence[Any] | None = self._cursor.fetchone()
        assert found is not None
        return found

    def write(self, statement: ClauseElement, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute a statement once a row of its parameters."""
        if len(rows) == 1:
            self._cursor.execute(self._words(statement), rows[0])
        else:
            self._cursor.executemany(self._words(statement), rows)
