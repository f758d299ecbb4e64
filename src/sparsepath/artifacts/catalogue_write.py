"""Write a catalogue: the file appears under its name when it is whole.

What people said in an older catalogue of the same place is taken over.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sparsepath.artifacts.catalogue_schema import (
    APPLICATION_ID,
    CATALOGUE_SCHEMA,
    TABLES,
    CatalogueFacts,
    Details,
)
from sparsepath.artifacts.label_words import in_japanese
from sparsepath.artifacts.neuron import Neuron
from sparsepath.errors import RunError


class NeuronRow(NamedTuple):
    """What is written of a neuron; fields as in the table `neuron`."""

    neuron: Neuron
    label: str
    guess: str
    kind: str
    score: float | None
    f1: float | None
    control: float | None
    held_out: int
    fired: int
    rate: float
    mean: float
    largest: float
    token_entropy: float
    semantic_entropy: float
    is_dead: bool
    is_always_on: bool
    details: Details
    fires_on: Sequence[tuple[int, str, float, float, float]]
    """Token, text, share, precision, lift."""
    examples: Sequence[tuple[str, float, int, bytes, bytes]]
    """Band, value, place of the token, ids as 32 bits, values as fp16."""
    pattern: bytes
    """Places in the sample, 16 bits each."""
    contrast: tuple[bytes, bytes, bytes, bytes] = (b"", b"", b"", b"")
    """As in the table `contrast`, positions as 32 bits, answers as 8."""
    classes: bytes = b""
    """As `catalogue_classes.py` reads it; empty where texts have no labels."""


def _japanese(row: NeuronRow) -> str:
    """Give the label in Japanese, by which it can be found too."""
    return in_japanese(row.guess, row.details.rule, row.details.join)


class Writer:
    """A catalogue that is being made."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """Make the tables."""
        self._database = database
        database.executescript(TABLES)
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {CATALOGUE_SCHEMA}")
        self._n = 0

    def tokens(self, pieces: Sequence[bytes], counts: Sequence[int]) -> None:
        """Write the vocabulary: bytes of every token, and how often it was read."""
        rows = ((id_, piece, counts[id_]) for id_, piece in enumerate(pieces))
        self._database.executemany("INSERT INTO token VALUES (?, ?, ?)", rows)

    def text(self, rows: Iterable[bytes]) -> None:
        """Write the rows in which contrasts lie: ids as 32 bits, by their numbers from 0."""
        self._database.executemany("INSERT INTO text VALUES (?, ?)", enumerate(rows))

    def add(self, row: NeuronRow) -> int:
        """Write a neuron; give its number in the file, from 1."""
        self._n += 1
        id_, marks = self._n, ", ".join("?" * 21)
        self._database.execute(
            f"INSERT INTO neuron VALUES ({marks}, NULL, NULL, NULL)",
            (id_, *row.neuron, *row[1:16], row.details.model_dump_json()),
        )
        self._many("example", id_, row.examples)
        self._many("fires_on", id_, row.fires_on)
        self._database.execute("INSERT INTO pattern VALUES (?, ?)", (id_, row.pattern))
        self._database.execute("INSERT INTO contrast VALUES (?, ?, ?, ?, ?)", (id_, *row.contrast))
        if row.classes:
            self._database.execute("INSERT INTO class_firing VALUES (?, ?)", (id_, row.classes))
        tokens = " ".join(text.strip() for _, text, *_ in row.fires_on)
        self._database.execute(
            "INSERT INTO words (rowid, label, tokens, note) VALUES (?, ?, ?, '')",
            (id_, f"{row.label} {row.guess} {_japanese(row)}", tokens),
        )
        return id_

    def _many(self, table: str, id_: int, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            marks = ", ".join("?" * (len(row) + 1))
            self._database.execute(f"INSERT INTO {table} VALUES ({marks})", (id_, *row))

    def vectors(self, vectors: Sequence[bytes]) -> None:
        """Write the vector of every neuron, in the order of their numbers."""
        self._database.executemany(
            "INSERT INTO vector VALUES (?, ?)", list(enumerate(vectors, start=1))
        )

    def facts(self, facts: CatalogueFacts) -> None:
        """Write what the catalogue is of; the last thing that is written."""
        content = facts.model_dump_json(by_alias=True)
        self._database.execute("INSERT INTO facts VALUES (?)", (content,))

    def take_over(self, older: Path) -> None:
        """Copy what was said in an older catalogue; neurons are found by their names.

        Labels from an endpoint are copied where model and text are the same, as when judged.
        """
        if not older.is_file():
            return
        self._database.commit()
        try:
            self._database.execute("ATTACH DATABASE ? AS older", (str(older),))
            columns = self._database.execute("PRAGMA older.table_info(neuron)").fetchall()
            has_side = any(column[1] == "side" for column in columns)
            side = "p.side" if has_side else "''"
            self._database.executescript(_TAKE_OVER.replace("{side}", side))
            if self._is_same():
                self._database.executescript(_TAKE_OVER_LABELS)
            self._database.commit()
            self._database.execute("DETACH DATABASE older")
        except sqlite3.DatabaseError as err:
            raise RunError(
                f"{older} stands where the catalogue should be, and is none ({err})",
                hint="move it away, or give another --out",
            ) from err

    def _is_same(self) -> bool:
        """Say whether the older catalogue is of the same model and text, in the same tables."""
        (version,) = self._database.execute("PRAGMA older.user_version").fetchone()
        if version != CATALOGUE_SCHEMA:
            return False
        found = []
        for name in ("main", "older"):
            row = self._database.execute(f"SELECT content FROM {name}.facts").fetchone()
            facts = CatalogueFacts.model_validate_json(row[0])
            found.append((sorted(file.sha256 for file in facts.files), facts.corpus_sha256))
        return found[0] == found[1]


_TAKE_OVER = """
CREATE TEMP TABLE same AS SELECT p.id AS old, COALESCE(
    (SELECT n.id FROM main.neuron n WHERE n.layer = p.layer AND n.site = p.site
        AND n.number = p.number AND n.side = {side}),
    (SELECT n.id FROM main.neuron n WHERE n.layer = p.layer AND n.site = p.site
        AND n.number = p.number ORDER BY n.fired DESC LIMIT 1)
) AS new FROM older.neuron p
    WHERE p.own_label IS NOT NULL OR p.verdict IS NOT NULL OR p.id IN
    (SELECT neuron FROM older.note);
INSERT INTO main.note SELECT s.new, o.label, o.note, o.verdict, o.by, o.at
    FROM older.note o JOIN same s ON s.old = o.neuron WHERE s.new IS NOT NULL ORDER BY o.rowid;
UPDATE main.neuron SET
    own_label = (SELECT p.own_label FROM older.neuron p JOIN same s ON s.old = p.id
        WHERE s.new = neuron.id AND p.own_label IS NOT NULL),
    verdict = (SELECT p.verdict FROM older.neuron p JOIN same s ON s.old = p.id
        WHERE s.new = neuron.id AND p.verdict IS NOT NULL)
    WHERE id IN (SELECT new FROM same);
UPDATE main.words SET note = COALESCE((SELECT GROUP_CONCAT(COALESCE(o.label, '') || ' ' ||
    COALESCE(o.note, ''), ' ') FROM main.note o WHERE o.neuron = words.rowid), '')
    WHERE rowid IN (SELECT neuron FROM main.note);
DROP TABLE same;
"""
"""What was said of an entry, before its signs were told apart, goes to the sign that fires more."""

_TAKE_OVER_LABELS = """
INSERT INTO main.endpoint_label SELECT n.id, o.label, o.score, o.own_score, o.trials, o.model,
    o.endpoint, o.at, o.is_kept
    FROM older.endpoint_label o JOIN older.neuron p ON p.id = o.neuron
    JOIN main.neuron n USING (layer, site, number, side);
UPDATE main.neuron SET endpoint_label = (SELECT p.endpoint_label FROM older.neuron p
    WHERE p.layer = neuron.layer AND p.site = neuron.site AND p.number = neuron.number
    AND p.side = neuron.side);
UPDATE main.words SET label = label || ' ' || (SELECT n.endpoint_label FROM main.neuron n
    WHERE n.id = words.rowid)
    WHERE rowid IN (SELECT id FROM main.neuron WHERE endpoint_label IS NOT NULL);
"""


@contextmanager
def new_catalogue(path: Path) -> Iterator[Writer]:
    """Make a catalogue that takes the place of `path` when the block ends without an error.

    Raises:
        RunError: if the place may not be written to, or SQLite has no full-text search.
    """
    temporary = path.with_name(f".{path.name}.partial-{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.unlink(missing_ok=True)
    database = sqlite3.connect(temporary)
    try:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        writer = Writer(database)
        yield writer
        writer.take_over(path)
        database.commit()
        database.close()
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except sqlite3.OperationalError as err:
        raise RunError(
            f"{path} cannot be written ({err})",
            hint="free space, give another --out, or use a Python whose SQLite has FTS5",
        ) from err
    finally:
        database.close()
        temporary.unlink(missing_ok=True)
