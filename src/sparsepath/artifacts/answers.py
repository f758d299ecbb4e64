"""What every candidate of a run said about every test row, for comparing any two of them.

One SQLite file beside `results.json`: texts are read a page at a time, answers as whole columns.
Needs no torch. Shape letters: N rows, C labels.
"""

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from sparsepath.errors import RunError

ANSWERS_FILE: Final = "answers.sqlite"
"""Name of the file in a run folder."""

ANSWERS_SCHEMA: Final = 1
"""Version of the tables; raised when one is changed."""

_APPLICATION_ID: Final = 0x53504157

_TABLES: Final = """
CREATE TABLE facts (labels TEXT NOT NULL, truth BLOB NOT NULL, lengths BLOB NOT NULL);
CREATE TABLE row (position INTEGER PRIMARY KEY, id INTEGER NOT NULL, text TEXT NOT NULL);
CREATE TABLE answer (
    candidate TEXT PRIMARY KEY, labels BLOB NOT NULL, probabilities BLOB NOT NULL
);
"""

_HINT: Final = "run the same `sparsepath poc` command again; finished stages are kept"


class AnsweredRow(NamedTuple):
    """A row that every candidate answered."""

    id: int
    """Where it stands in its source."""
    text: str


class Column(NamedTuple):
    """The answers of one candidate."""

    labels: NDArray[np.int64]
    """[N]; numbers of labels."""
    probabilities: NDArray[np.float32]
    """[N]; of the label that it gave, 0 to 1."""


def write_answers(
    path: Path,
    labels: Sequence[str],
    rows: Sequence[AnsweredRow],
    truth: NDArray[Any],
    probabilities: Mapping[str, NDArray[Any]],
) -> None:
    """Write the file whole or not at all.

    Args:
        path: of the file.
        labels: names, in class order.
        rows: N of them.
        truth: [N]; numbers of labels.
        probabilities: [N, C] by candidate.

    Raises:
        RunError: if it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.partial-{os.getpid()}")
    # Lone surrogates, from broken tables, have no UTF-8 form.
    texts = [row.text.encode("utf-8", "replace").decode() for row in rows]
    lengths = np.array([len(text) for text in texts], dtype="<u4")
    try:
        temporary.unlink(missing_ok=True)
        database = sqlite3.connect(temporary)
        try:
            with database:
                database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                database.execute(f"PRAGMA user_version = {ANSWERS_SCHEMA}")
                database.executescript(_TABLES)
                database.execute(
                    "INSERT INTO facts VALUES (?, ?, ?)",
                    (json.dumps([*labels]), truth.astype("<u2").tobytes(), lengths.tobytes()),
                )
                numbered = zip(rows, texts, strict=True)
                database.executemany(
                    "INSERT INTO row VALUES (?, ?, ?)",
                    ((number, row.id, text) for number, (row, text) in enumerate(numbered)),
                )
                database.executemany(
                    "INSERT INTO answer VALUES (?, ?, ?)",
                    ((name, *_column(found)) for name, found in probabilities.items()),
                )
        finally:
            database.close()
        temporary.replace(path)
    except (OSError, sqlite3.Error) as err:
        raise RunError(
            f"{path} cannot be written: {err}", hint="free space, or check --out"
        ) from err
    finally:
        temporary.unlink(missing_ok=True)


def _column(probabilities: NDArray[Any]) -> tuple[bytes, bytes]:
    """Keep the most probable label of each row and its probability."""
    best = probabilities.argmax(axis=1)
    share = probabilities[np.arange(len(best)), best]
    return best.astype("<u2").tobytes(), share.astype("<f4").tobytes()


@final
class Answers:
    """An open file; to be used in one thread."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Args:
            path: of the file.

        Raises:
            RunError: if there is none, or it is damaged or of another version.
        """
        if not path.is_file():
            raise RunError(f"no {path.name} in {path.parent.name}", hint=_HINT)
        self._path = path
        self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            (kind,) = self._database.execute("PRAGMA application_id").fetchone()
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if (kind, version) != (_APPLICATION_ID, ANSWERS_SCHEMA):
                raise RunError(f"{path.name} is of another program or version", hint=_HINT)
            labels, truth, lengths = self._database.execute("SELECT * FROM facts").fetchone()
        except (sqlite3.Error, TypeError) as err:
            self._database.close()
            raise RunError(f"{path.name} cannot be read: {err}", hint=_HINT) from err
        self.labels: list[str] = json.loads(labels)
        self.truth = np.frombuffer(truth, "<u2").astype(np.int64)
        """[N]; numbers of labels."""
        self.lengths = np.frombuffer(lengths, "<u4").astype(np.int64)
        """[N]; characters of the texts."""

    def __enter__(self) -> "Answers":
        """Use it in a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._database.close()

    @property
    def candidates(self) -> list[str]:
        """Names of all that answered."""
        rows = self._database.execute("SELECT candidate FROM answer ORDER BY rowid")
        return [name for (name,) in rows]

    def of(self, candidate: str) -> Column:
        """Give the answers of a candidate.

        Raises:
            RunError: if it has none.
        """
        found = self._database.execute(
            "SELECT labels, probabilities FROM answer WHERE candidate = ?", (candidate,)
        ).fetchone()
        if found is None:
            raise RunError(
                f"{self._path.name} has no answers of that candidate",
                hint=f"choose one of: {', '.join(self.candidates)}",
            )
        labels = np.frombuffer(found[0], "<u2").astype(np.int64)
        return Column(labels, np.frombuffer(found[1], "<f4"))

    def rows(self, positions: Sequence[int]) -> list[AnsweredRow]:
        """Give rows by their positions, in that order."""
        query = "SELECT id, text FROM row WHERE position = ?"
        found = [self._database.execute(query, (number,)).fetchone() for number in positions]
        return [AnsweredRow(*row) for row in found]
