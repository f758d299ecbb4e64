"""What fired where, on disk: shards of some rows each, written whole or not at all.

A shard is a safetensors file. For each place of the model it holds the numbers of the entries that
were kept (16 bits, or 32 where the site is wider) and their values (fp16) for every token, beside
the tokens themselves: 4 to 6 bytes a kept activation. An entry that was kept with value zero did
not fire. Its header says how far the corpus was read, so that a killed build goes on after it.

Shape letters: R rows of the shard, T tokens of a row, K kept entries.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sparsepath.artifacts.store import write_bytes_atomic
from sparsepath.concepts.rows import Place
from sparsepath.errors import RunError
from sparsepath.trace.hidden import SitePlace

Array = NDArray[Any]

STATE = "state"
"""Key of the header."""


class Kept(NamedTuple):
    """What was kept at one place."""

    indices: Array
    """[R, T, K], unsigned, ascending."""
    values: NDArray[np.float16]
    """[R, T, K]."""


class Shard(NamedTuple):
    """What a shard holds."""

    tokens: Array
    """[R, T]."""
    held_out: Array
    """[R], 0 or 1."""
    kept: Mapping[SitePlace, Kept]
    """What was kept, by place."""
    texts: Array | None = None
    """Number of the text of each token, [R, T], where texts are read one by one."""


class State(NamedTuple):
    """What is known after a shard."""

    place: Place
    """How far the corpus was read."""
    digest: str
    """Of all tokens so far, hexadecimal."""
    is_last: bool
    """Whether the corpus, or what was asked for of it, ends here."""


class Shards:
    """The shards of a folder."""

    def __init__(self, folder: Path) -> None:
        """Find them; a gap in their numbers ends them."""
        self.folder = folder
        self.paths: list[Path] = []
        while self._path(len(self.paths)).exists():
            self.paths.append(self._path(len(self.paths)))

    def _path(self, number: int) -> Path:
        return self.folder / f"shard-{number:05d}.safetensors"

    def state(self) -> State | None:
        """Say what is known after the last shard; None if there is none."""
        if not self.paths:
            return None
        with opened(self.paths[-1]) as file:
            facts = json.loads(file.metadata()[STATE])
        return State(Place(**facts["place"]), facts["digest"], facts["is_last"])

    def has(self, number: int) -> bool:
        """Say whether a shard was written, also one after a gap."""
        return self._path(number).exists()

    def write(self, number: int, shard: Shard, state: State) -> None:
        """Write a shard.

        Args:
            number: of it, from 0.
            shard: its content.
            state: after it.

        Raises:
            RunError: if the disk is full or the place may not be written to.
        """
        tensors: dict[str, Array] = {"tokens": shard.tokens, "held_out": shard.held_out}
        if shard.texts is not None:
            tensors["texts"] = shard.texts
        for place, found in shard.kept.items():
            tensors[f"{key(place)}.indices"] = found.indices
            tensors[f"{key(place)}.values"] = found.values
        facts = state._asdict() | {"place": asdict(state.place)}
        path = self._path(number)
        write_bytes_atomic(path, save(tensors, metadata={STATE: json.dumps(facts)}))
        if number == len(self.paths):
            self.paths.append(path)

    def rows(self) -> tuple[Array, NDArray[np.bool_]]:
        """Give all tokens, [rows, T], and which rows are held out, [rows]."""
        tokens, held_out = [], []
        for path in self.paths:
            with opened(path) as file:
                tokens.append(file.get_tensor("tokens"))
                held_out.append(file.get_tensor("held_out"))
        return np.concatenate(tokens), np.concatenate(held_out).astype(bool)

    def texts(self) -> Array | None:
        """Give the number of the text of every token, [rows, T]; None of running text."""
        found = []
        for path in self.paths:
            with opened(path) as file:
                if "texts" not in file.keys():  # noqa: SIM118 - it is no mapping
                    return None
                found.append(file.get_tensor("texts"))
        return np.concatenate(found) if found else None

    def kept(self, number: int, place: SitePlace) -> Kept:
        """Read what a shard says of one place."""
        with opened(self.paths[number]) as file:
            return Kept(
                file.get_tensor(f"{key(place)}.indices"), file.get_tensor(f"{key(place)}.values")
            )

    def size_bytes(self) -> int:
        """Give the bytes of all shards."""
        return sum(path.stat().st_size for path in self.paths)


def key(place: SitePlace) -> str:
    """Name a place in a file."""
    return f"{place.site}.{place.layer}"


def unsigned(most: int) -> type[np.uint16] | type[np.uint32]:
    """Give the narrowest kind of number of 16 or 32 bits that counts below `most`."""
    return np.uint16 if most <= 1 << 16 else np.uint32


def opened(path: Path) -> Any:
    """Open a shard.

    Raises:
        RunError: if it is damaged.
    """
    try:
        return safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as err:
        raise RunError(
            f"{path} is damaged ({err})",
            hint="delete it and those after it; the same command makes them again",
        ) from err
