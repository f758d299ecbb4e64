"""One pass of a model over a corpus that writes down what fired; goes on where it was stopped.

Shape letters: B rows of a batch, T tokens of a row, D entries of a site, K kept entries.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel

from sparsepath.artifacts.store import write_json_atomic
from sparsepath.concepts.rows import Place, Row, RowSettings, rows_of
from sparsepath.concepts.shards import Array, Kept, Shards, State, unsigned
from sparsepath.errors import ConfigError
from sparsepath.kernels.largest import largest
from sparsepath.trace.hidden import SitePlace, watch

SHARD_TOKENS = 16_384
"""Tokens of a shard, in whole rows: what a killed build loses at most."""

BATCH_TOKENS = 1024
"""Tokens of a batch, in whole rows."""

LARGEST_FP16 = 65504.0

SETTINGS_FILE = "settings.json"

Tell = Callable[[int], None]
"""Called with the tokens that are done."""

Read = Callable[[Tensor], Tensor]
"""What is catalogued of a hidden state; an autoencoder gives its latents."""


def as_it_is(hidden: Tensor) -> Tensor:
    """Read a hidden state itself."""
    return hidden


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


class Share(NamedTuple):
    """Which shards are made: every `of`-th one, from `number` on."""

    number: int = 0
    """From 0, below `of`."""
    of: int = 1


WHOLE = Share()
"""All shards."""


def record(  # noqa: PLR0913 - what runs over what, how it is read, and where it goes
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    recording: Recording,
    folder: Path,
    tell: Tell = lambda _n: None,
    share: Share = WHOLE,
    read: Read = as_it_is,
) -> Shards:
    """Run a model over a corpus and keep what fired.

    Args:
        model: in evaluation mode; its answers are not computed, only its hidden states.
        tokenizer: its own.
        recording: what to do.
        folder: where shards are kept; a stopped recording goes on there, with the same result.
        tell: called after every batch.
        share: of the shards; the whole text is read all the same, so that they fit together.
        read: gives what is recorded of a hidden state.

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
    rows = rows_of(recording.rows, tokenizer, state.place)
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
            shards.write(number, *_shard(model, some, recording, told, read), state)
        number += 1
    return shards


def check_settings(folder: Path, recording: Recording) -> None:
    """See that a folder is empty, or was begun with the same settings.

    Raises:
        ConfigError: if it was not.
    """
    path = folder / SETTINGS_FILE
    wanted = json.loads(json.dumps(asdict(recording)))
    if not path.exists():
        write_json_atomic(path, wanted)
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    different = [name for name in wanted if found.get(name) != wanted[name]]
    if different:
        raise ConfigError(
            f"{folder} holds the beginning of a catalogue with another {', '.join(different)}",
            hint="give the same options to go on, or delete that folder to begin again",
        )


def _shard(
    model: PreTrainedModel, rows: Sequence[Row], recording: Recording, tell: Tell, read: Read
) -> tuple[Array, Array, dict[SitePlace, Kept]]:
    """Record some rows: tokens, which of them are held out, and what was kept."""
    tokens = np.stack([row.ids for row in rows])
    kept = {
        place: Kept(
            np.empty((*tokens.shape, place.k), unsigned(place.width)),
            np.empty((*tokens.shape, place.k), np.float16),
        )
        for place in recording.places
    }
    for start, end in _batches(tokens.shape):

        def seen(place: SitePlace, hidden: Tensor, start: int = start, end: int = end) -> None:
            hidden = read(hidden)
            # By size: a TopK model may keep entries below zero, all else there is zero.
            size = hidden.abs() if recording.is_sparse else hidden
            _keep(hidden, size, kept[place], slice(start, end))

        with torch.inference_mode(), watch(model, recording.places, seen):
            body = model.get_submodule("model")
            body(input_ids=torch.from_numpy(tokens[start:end]).to(model.device), use_cache=False)
        tell(end * tokens.shape[1])
    number = unsigned(int(model.config.vocab_size))
    held_out = np.array([row.is_held_out for row in rows], np.uint8)
    return tokens.astype(number), held_out, kept


def _batches(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Cut rows into batches."""
    at_once = max(1, BATCH_TOKENS // shape[1])
    for start in range(0, shape[0], at_once):
        yield start, min(shape[0], start + at_once)


def _keep(hidden: Tensor, size: Tensor, kept: Kept, rows: slice) -> None:
    """Write down the largest entries of a batch."""
    found = largest(size, kept.indices.shape[-1])
    kept.indices[rows] = found.indices.numpy(force=True)
    values = hidden.gather(-1, found.indices).clamp(-LARGEST_FP16, LARGEST_FP16)
    kept.values[rows] = values.to(torch.float16).numpy(force=True)
