"""Open a catalogue of neurons, list and show them, and keep what people say of them.

Needs no model and no torch. Read with: `catalogue_schema.py` (the tables).
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from sparsepath.artifacts.catalogue_schema import (
    APPLICATION_ID,
    CATALOGUE_SCHEMA,
    CatalogueFacts,
    Context,
    Details,
    EndpointLabel,
    NeuronCard,
    NeuronLine,
    Remark,
    TokenLine,
    Verdict,
    WeightsStamp,
)
from sparsepath.artifacts.label_words import in_japanese, phrase
from sparsepath.artifacts.neuron import Neuron
from sparsepath.artifacts.provenance import now_utc, sha256_file
from sparsepath.artifacts.spelling import spell
from sparsepath.config import Language
from sparsepath.errors import ConfigError, RunError

CATALOGUE_FILE = "concepts.sqlite"
"""Name of a catalogue beside its model."""

DATED_FOLDER = "concepts"
"""Where in a training's folder the catalogues of its checkpoints lie, as `step-N.sqlite`."""

MODEL_FILES = ("config.json", "tokenizer.json", "cfg.json")
"""Files beside weights that decide what a model does; the last one is SAELens'."""

Order = Literal["score", "rate", "name", "token-entropy", "semantic-entropy"]
"""Ways to order a list; scores and rates the highest first, entropies the lowest."""

_ORDERS: dict[Order, str] = {
    "score": "score IS NULL, score DESC, layer, site, number, side",
    "rate": "rate DESC, layer, site, number, side",
    "name": "site, layer, number, side",
    "token-entropy": "is_dead, token_entropy, layer, site, number, side",
    "semantic-entropy": "is_dead, semantic_entropy, layer, site, number, side",
}

_LINE = (
    "id, layer, site, number, side, COALESCE(own_label, endpoint_label, label), score, rate, mean, "
    "token_entropy, semantic_entropy, own_label IS NOT NULL, endpoint_label IS NOT NULL"
)

BEST_FIRST = "ORDER BY is_kept DESC, score DESC, at"
"""Order of an endpoint's labels of one neuron; the first one is shown if it is kept."""

N_LISTED_TOKENS = 6
"""Tokens of a neuron in a list."""


def find_catalogue(path: Path) -> Path:
    """Give the catalogue that a path means: the file itself, or the one beside a model.

    Args:
        path: of a catalogue, a model folder, or the folder of a training.

    Raises:
        RunError: if there is none.
    """
    for file in (path, path / CATALOGUE_FILE, path / "model" / CATALOGUE_FILE):
        if file.is_file():
            return file
    raise RunError(
        f"no catalogue at {path}",
        hint=f"make one with: sparsepath concepts build {path} CORPUS",
    )


def stamp_files(folder: Path) -> list[WeightsStamp]:
    """Describe the files of a model by which a change is noticed; every byte is read."""
    names = sorted(
        file.name
        for file in folder.iterdir()
        if file.suffix == ".safetensors" or file.name in MODEL_FILES
    )
    return [_stamp(folder / name) for name in names]


def _stamp(file: Path) -> WeightsStamp:
    facts = file.stat()
    return WeightsStamp(
        name=file.name,
        size_bytes=facts.st_size,
        modified_ns=facts.st_mtime_ns,
        sha256=sha256_file(file),
    )


class Catalogue:
    """An open catalogue."""

    def __init__(self, path: Path, lang: Language = "en") -> None:
        """Open a catalogue; the model it is of is checked where it lies beside it.

        Args:
            path: as `find_catalogue` takes it.
            lang: of the automatic labels that it gives.

        Raises:
            ModelError: never; see `check_model`.
            RunError: if there is none, it is damaged or of another version, or the model beside
                it is another one.
        """
        self.path, self.lang = find_catalogue(path), lang
        self.database = sqlite3.connect(self.path)
        self.facts = self._facts()
        beside = self.path.parent
        if self.facts.autoencoder is not None:
            if (beside / self.facts.autoencoder.files[0].name).is_file():
                self.check_autoencoder(beside)
        elif (beside / "config.json").is_file():
            self.check_model(beside)

    def __enter__(self) -> "Catalogue":
        """Use it in a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def _facts(self) -> CatalogueFacts:
        """Read what the catalogue is of.

        Raises:
            RunError: if it cannot be used.
        """
        try:
            (kind,) = self.database.execute("PRAGMA application_id").fetchone()
            (version,) = self.database.execute("PRAGMA user_version").fetchone()
            if kind != APPLICATION_ID:
                raise _foreign(self.path, "it is another SQLite file")
            if version != CATALOGUE_SCHEMA:
                raise _foreign(
                    self.path, f"it has schema {version}, this sparsepath reads {CATALOGUE_SCHEMA}"
                )
            (content,) = self.database.execute("SELECT content FROM facts").fetchone()
            return CatalogueFacts.model_validate_json(content)
        except (sqlite3.DatabaseError, TypeError, ValueError) as err:
            raise _foreign(self.path, str(err).splitlines()[0]) from err

    def check_model(self, folder: Path) -> None:
        """See that a model is the one the catalogue is of.

        Files of the same size and time are taken to be the same; else their contents are compared.

        Raises:
            RunError: if it is another one.
        """
        self._check(folder, self.facts.files)

    def check_autoencoder(self, folder: Path) -> None:
        """See that an autoencoder is the one the catalogue is of; as `check_model`."""
        if self.facts.autoencoder is not None:
            self._check(folder, self.facts.autoencoder.files)

    def _check(self, folder: Path, files: Sequence[WeightsStamp]) -> None:
        """Compare files with what they were; raises as `check_model`."""
        for known in files:
            file = folder / known.name
            same = file.is_file() and _is_same(file, known)
            if not same:
                raise RunError(
                    f"{self.path} is a catalogue of another model: {known.name} of {folder} "
                    "is missing or different",
                    hint="give the catalogue of this model, or make one with: "
                    f"sparsepath concepts build {folder} CORPUS",
                )

    def lines(
        self,
        *,
        where: str = "1",
        values: Sequence[object] = (),
        order: Order = "score",
        limit: int | None = None,
        offset: int = 0,
    ) -> list[NeuronLine]:
        """List neurons.

        Args:
            where: condition in SQL on the table `neuron`, of our own making only.
            values: for its question marks.
            order: which come first.
            limit: most lines.
            offset: lines that are left out before.

        Raises:
            ConfigError: if there is no such order.
        """
        if order not in get_args(Order):
            raise ConfigError(f"no order {order!r}", hint=f"use one of {', '.join(_ORDERS)}")
        query = (
            f"SELECT {_LINE} FROM neuron WHERE {where} ORDER BY {_ORDERS[order]} LIMIT ? OFFSET ?"
        )
        most = -1 if limit is None else limit
        rows = self.database.execute(query, (*values, most, offset)).fetchall()
        return [self._line(row) for row in rows]

    def lines_of(self, ids: Sequence[int]) -> list[NeuronLine]:
        """List neurons by their numbers in the file, in that order."""
        found = []
        for id_ in ids:
            query = f"SELECT {_LINE} FROM neuron WHERE id = ?"
            found.append(self._line(self.database.execute(query, (id_,)).fetchone()))
        return found

    def _line(self, row: Sequence[Any]) -> NeuronLine:
        """Make a line of the columns `_LINE`."""
        id_, layer, site, number, side, label, score, rate, mean, tokens, semantic, *origin = row
        by_person, is_from_endpoint = map(bool, origin)
        if self.lang == "ja" and not (by_person or is_from_endpoint):
            label = self._said(label, self._details(id_))
        texts = self.database.execute(
            "SELECT text FROM fires_on WHERE neuron = ? ORDER BY rowid LIMIT ?",
            (id_, N_LISTED_TOKENS),
        )
        return NeuronLine(
            Neuron(layer, site, number, side),
            label, score, rate, mean, tokens, semantic,
            tuple(text for (text,) in texts),
            by_person,
            is_from_endpoint and not by_person,
        )  # fmt: skip

    def _details(self, id_: int) -> Details:
        """Read what is kept of a neuron beside its line."""
        query = "SELECT details FROM neuron WHERE id = ?"
        return Details.model_validate_json(self.database.execute(query, (id_,)).fetchone()[0])

    def _said(self, label: str, details: Details) -> str:
        """Say an automatic label in the language that was asked for."""
        return in_japanese(label, details.rule, details.join) if self.lang == "ja" else label

    def id_of(self, neuron: Neuron) -> int:
        """Give the number of a neuron in the file.

        Raises:
            ConfigError: if it has none.
        """
        found = self.database.execute(
            "SELECT id FROM neuron WHERE layer = ? AND site = ? AND number = ? AND side = ?",
            tuple(neuron),
        ).fetchone()
        if found is None and self.facts.is_two_sided and not neuron.side:
            raise ConfigError(
                f"{neuron.name} has two signs, which mean different things",
                hint=f"say {neuron.name}+ or {neuron.name}-",
            )
        if found is None:
            raise ConfigError(
                f"{neuron.name} is not in {self.path}",
                hint="; ".join(
                    f"{site}: layers {', '.join(map(str, layers))}, "
                    f"neurons 0 to {self.facts.widths[site] - 1}"
                    for site, layers in self.facts.layers.items()
                ),
            )
        return int(found[0])

    def label_of(self, neuron: Neuron) -> str | None:
        """Give the label of a neuron; None where the catalogue does not have it."""
        found = self.database.execute(
            "SELECT id FROM neuron WHERE layer = ? AND site = ? AND number = ? AND side = ?",
            tuple(neuron),
        ).fetchone()
        return None if found is None else self.lines_of([int(found[0])])[0].label

    def card(self, neuron: Neuron) -> NeuronCard:
        """Give all that is known of a neuron.

        Raises:
            ConfigError: if it is not in the catalogue.
        """
        id_ = self.id_of(neuron)
        row = self.database.execute(
            "SELECT label, guess, kind, f1, control, held_out, fired, largest, is_dead, "
            "is_always_on, details FROM neuron WHERE id = ?",
            (id_,),
        ).fetchone()
        tokens = self.database.execute(
            "SELECT text, share, precision, lift FROM fires_on WHERE neuron = ? ORDER BY rowid",
            (id_,),
        )
        remarks = self.database.execute(
            "SELECT label, note, verdict, by, at FROM note WHERE neuron = ? ORDER BY rowid", (id_,)
        )
        automatic, guess, kind, f1, control, held_out, fired, largest, dead, on, content = row
        details = Details.model_validate_json(content)
        automatic, guess = (self._said(label, details) for label in (automatic, guess))
        if self.lang == "ja":
            rule = [
                part.model_copy(update={"phrase": phrase(part) or part.phrase})
                for part in details.rule
            ]
            details = details.model_copy(update={"rule": rule})
        return NeuronCard(
            line=self.lines_of([id_])[0],
            automatic=automatic,
            guess=guess,
            kind=kind,
            f1=f1,
            control=control,
            held_out=held_out,
            fired=fired,
            largest=largest,
            is_dead=bool(dead),
            is_always_on=bool(on),
            details=details,
            fires_on=tuple(TokenLine(*token) for token in tokens),
            contexts=tuple(self._contexts(id_)),
            remarks=tuple(Remark(*remark) for remark in remarks),
            endpoint=tuple(self._endpoint_labels(id_)),
        )

    def _contexts(self, id_: int) -> list[Context]:
        """Read the examples of a neuron."""
        rows = self.database.execute(
            "SELECT band, value, at, ids, tokens_values FROM example WHERE neuron = ? "
            "ORDER BY rowid",
            (id_,),
        ).fetchall()
        found = []
        for band, value, at, ids, values in rows:
            texts = spell([self.token(int(id_)) for id_ in np.frombuffer(ids, "<u4")])
            shown = np.frombuffer(values, "<f2").astype(float).tolist()
            found.append(Context(band, value, at, tuple(texts), tuple(shown)))
        return found

    def _endpoint_labels(self, id_: int) -> list[EndpointLabel]:
        """Read what models called a neuron."""
        names = ", ".join(EndpointLabel._fields)
        rows = self.database.execute(
            f"SELECT {names} FROM endpoint_label WHERE neuron = ? {BEST_FIRST}", (id_,)
        )
        return [EndpointLabel(*row)._replace(is_kept=bool(row[-1])) for row in rows]

    def token(self, id_: int) -> bytes:
        """Give the bytes of a token."""
        found = self.database.execute("SELECT bytes FROM token WHERE id = ?", (id_,)).fetchone()
        return b"" if found is None else bytes(found[0])

    def remark(
        self,
        neuron: Neuron,
        *,
        label: str | None = None,
        note: str | None = None,
        verdict: Verdict | None = None,
        by: str | None = None,
    ) -> Remark:
        """Keep what a person says of a neuron; a label of theirs wins over the automatic one.

        Args:
            neuron: of the catalogue.
            label: the person's own; an empty one takes the automatic label back.
            note: any text.
            verdict: on the automatic label.
            by: name; None: that of the user of this machine.

        Raises:
            ConfigError: if nothing is said, or there is no such neuron.
            RunError: if the file may not be written to.
        """
        if label is None and note is None and verdict is None:
            raise ConfigError("nothing is said", hint="give --label, --note or --verdict")
        id_ = self.id_of(neuron)
        who = by or os.environ.get("USER") or os.environ.get("USERNAME") or "unknown"
        said = Remark(label, note, verdict, who, now_utc())
        try:
            with self.database:
                self.database.execute("INSERT INTO note VALUES (?, ?, ?, ?, ?, ?)", (id_, *said))
                if label is not None:
                    self._set("own_label", label.strip() or None, id_)
                if verdict is not None:
                    self._set("verdict", verdict, id_)
                words = " ".join(text for text in (label, note) if text)
                self.database.execute(
                    "UPDATE words SET note = note || ' ' || ? WHERE rowid = ?", (words, id_)
                )
        except sqlite3.OperationalError as err:
            raise RunError(
                f"{self.path} may not be written to ({err})",
                hint="copy it to where you may write, and name the copy instead of the model",
            ) from err
        return said

    def _set(self, column: str, value: str | None, id_: int) -> None:
        self.database.execute(f"UPDATE neuron SET {column} = ? WHERE id = ?", (value, id_))


def _is_same(file: Path, known: WeightsStamp) -> bool:
    """Compare a file with what it was."""
    facts = file.stat()
    if facts.st_size != known.size_bytes:
        return False
    return facts.st_mtime_ns == known.modified_ns or sha256_file(file) == known.sha256


def _foreign(path: Path, why: str) -> RunError:
    return RunError(
        f"{path} is no catalogue that can be read: {why}",
        hint="make it again with: sparsepath concepts build MODEL CORPUS",
    )
