"""One pass of a model over a corpus that writes down what fired; goes on where it was stopped.

Shape letters: B rows of a batch, T tokens of a row, D entries of a site, K kept entries.
Read with: `language.py` and `classifiers.py` (what runs).
"""

import hashlib
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sparsepath.artifacts.store import write_json_atomic
from sparsepath.concepts.rows import Place, Row, RowSettings
from sparsepath.concepts.shards import Kept, Shard, Shards, State, unsigned
from sparsepath.errors import ConfigError
from sparsepath.kernels.largest import largest
from sparsepath.trace.hidden import SitePlace

SHARD_TOKENS = 16_384
"""Tokens of a shard, in whole rows: what a killed build loses at most."""

LARGEST_FP16 = 65504.0

SETTINGS_FILE = "settings.json"

Tell = Callable[[int], None]
"""Called with the tokens that are done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """What is recorded, and of what; another one cannot go on in the same folder."""

    model_sha256: str
    """Of configuration and weights."""
    tokenizer_sha256: str
    """Of tokenizer.json."""
    places: tuple[SitePlace, ...]
    """Where, with the entries to keep of each."""
    rows: RowSettings
    """How the corpus is cut into rows."""
    n_tokens: int | None
    """Most tokens; None: the whole corpus."""
    is_sparse: bool
    """False: the model is dense, and of each hidden state the largest entries by value count as
    kept, as a TopK model of the same k would keep them."""
    autoencoder_sha256: str = ""
    """Of its files, where latents of an autoencoder are recorded."""
    columns: tuple[str, ...] = ()
    """Of text and of labels, where the corpus is a table."""


class Share(NamedTuple):
    """Which shards are made: every `of`-th one, from `number` on."""

    number: int = 0
    """From 0, below `of`."""
    of: int = 1


WHOLE = Share()
"""All shards."""


class Source(ABC):
    """Where rows come from, and a model that runs over them."""

    n_vocabulary: int
    """Tokens that there are."""

    @abstractmethod
    def rows(self, settings: RowSettings, place: Place, n_done: int) -> Iterator[Row]:
        """Give the rows after a place, which moves on with every row.

        Args:
            settings: how rows are made.
            place: where to go on.
            n_done: rows before that place.
        """

    @abstractmethod
    def run(self, rows: Sequence[Row], kept: dict[SitePlace, Kept], tell: Tell) -> None:
        """Run the model over some rows, and write down what each place keeps.

        Args:
            rows: of one shard.
            kept: takes what is kept, by place.
            tell: called with the tokens of these rows that are done.
        """


def record(
    source: Source,
    recording: Recording,
    folder: Path,
    tell: Tell = lambda _n: None,
    share: Share = WHOLE,
) -> Shards:
    """Run a model over a corpus and keep what fired.

    Args:
        source: the model and its text.
        recording: what to do.
        folder: where shards are kept; a stopped recording goes on there, with the same result.
        tell: called after every batch.
        share: of the shards; the whole text is read all the same, so that they fit together.

    Raises:
        ConfigError: if the folder holds a recording of something else.
        DataError: if the corpus cannot be read.
    """
    check_settings(folder, recording)
    shards = Shards(folder)
    number = len(shards.paths)
    state = shards.state() or State(Place(), "", False)
    length = recording.rows.length
    n_rows = max(1, SHARD_TOKENS // length)
    rows = source.rows(recording.rows, state.place, n_rows * number)
    while not state.is_last:
        done = n_rows * number
        most = None if recording.n_tokens is None else max(1, recording.n_tokens // length) - done
        some = list(islice(rows, n_rows if most is None else min(n_rows, most)))
        is_last = len(some) < n_rows or (most is not None and most <= n_rows)
        tokens = np.stack([row.ids for row in some]) if some else np.empty((0, length), np.int64)
        digest = hashlib.sha256(state.digest.encode() + tokens.tobytes()).hexdigest()
        state = State(state.place, digest, is_last)
        if not some:
            break

        def told(n: int, before: int = done * length) -> None:
            tell(before + n)

        if number % share.of == share.number and not shards.has(number):
            shards.write(number, _shard(source, some, recording, told), state)
        number += 1
    return shards


def check_settings(folder: Path, recording: Recording) -> None:
    """See that a folder is empty, or was begun with the same settings.

    Raises:
        ConfigError: if it was not.
    """
    path = folder / SETTINGS_FILE
    if not path.exists():
        write_json_atomic(path, _plain(recording))
        return
    if different := _different(path, recording):
        raise ConfigError(
            f"{folder} holds the beginning of a catalogue with another {', '.join(different)}",
            hint="give the same model, corpus and options to go on with that one, or --start-over "
            "to throw it away",
        )


def discard_other(folder: Path, recording: Recording) -> bool:
    """Throw away the beginning of a recording with other settings; one with the same stays.

    Args:
        folder: of shards; there may be none.
        recording: what is wanted.

    Returns:
        Whether there was one.
    """
    path = folder / SETTINGS_FILE
    if not path.exists() or not _different(path, recording):
        return False
    shutil.rmtree(folder)
    return True


def _plain(recording: Recording) -> dict[str, Any]:
    """Write settings as the file holds them."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(recording)))
    return plain


def _different(path: Path, recording: Recording) -> list[str]:
    """Name the settings that are others; a file that cannot be read has all others."""
    wanted = _plain(recording)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return [*wanted]
    return [name for name in wanted if found.get(name) != wanted[name]]


def _shard(source: Source, rows: Sequence[Row], recording: Recording, tell: Tell) -> Shard:
    """Record some rows: tokens, which of them are held out, and what was kept."""
    tokens = np.stack([row.ids for row in rows])
    kept = {
        place: Kept(
            np.zeros((*tokens.shape, place.k), unsigned(place.width)),
            np.zeros((*tokens.shape, place.k), np.float16),
        )
        for place in recording.places
    }
    source.run(rows, kept, tell)
    texts = [row.texts for row in rows if row.texts is not None]
    return Shard(
        tokens.astype(unsigned(source.n_vocabulary)),
        np.array([row.is_held_out for row in rows], np.uint8),
        kept,
        np.stack(texts).astype(np.uint32) if texts else None,
    )


def strongest(hidden: Tensor, k: int, *, is_sparse: bool) -> Kept:
    """Give the entries of hidden states that are written down.

    Args:
        hidden: [..., width].
        k: how many of each.
        is_sparse: whether all others are zero. A TopK model may keep entries below zero, so there
            they are found by size.
    """
    found = largest(hidden.abs() if is_sparse else hidden, k)
    values = hidden.gather(-1, found.indices).clamp(-LARGEST_FP16, LARGEST_FP16)
    return Kept(found.indices.numpy(force=True), values.to(torch.float16).numpy(force=True))
