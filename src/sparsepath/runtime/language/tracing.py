"""What sparse sites keep of each token, noted while a model writes.

The native code and numpy fill the same arrays; `plain.py` and `native.py` call in here. Only what
is kept is stored, so a trace costs little beside the products that read the weights.

Read with: `cache.py` (one text), `kernels/native/decode.c` (who fills it).
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from sparsepath.artifacts.neuron import IN_ORDER, Neuron, Site, place_name
from sparsepath.errors import ConfigError, ModelError, RunError
from sparsepath.kernels.by_input import Floats
from sparsepath.runtime.language.kept import write_tensors
from sparsepath.runtime.language.shape import Shape
from sparsepath.trace.edits import Program, Spot


class Kept(NamedTuple):
    """What one site of one layer kept of a text."""

    starts: NDArray[np.int64]
    """Where the entries of each token begin, and the end, [tokens + 1]."""
    indices: NDArray[np.int32]
    """Of the entries, ascending for each token."""
    values: Floats
    """After edits."""


class Room(NamedTuple):
    """Where a text's entries go."""

    starts: NDArray[np.int64]
    """Of the part of each site of each layer in a row; below 0: it is not traced."""
    indices: NDArray[np.int32]
    """[positions, width of a row]."""
    values: Floats
    """[positions, width of a row]."""
    counts: NDArray[np.int32]
    """Entries of each site of each layer, [positions, layers * sites]."""


class Addresses(NamedTuple):
    """Where the native code finds room; entries and counts take four bytes."""

    starts: int
    indices: int
    values: int
    counts: int
    width: int
    """Entries of a row."""
    n_spots: int
    """Counts of a row."""


class Trace:
    """The neurons that fired in one text, the last one that was begun with it.

    Give it to `Engine.generate`, `Engine.tokens` or `Engine.cache`. The last new token is written
    and not read, so nothing is known of it.
    """

    def __init__(self, *sites: Site) -> None:
        """Choose where to look.

        Args:
            sites: none: every sparse site of the model.
        """
        self._sites = sites
        self.tokens: list[int] = []
        """Ids that were read, of prompt and answer."""
        self.spots: tuple[Spot, ...] = ()
        """Layers and sites that are traced."""
        self._room: Room | None = None
        self.addresses = Addresses(0, 0, 0, 0, 0, 0)
        """Of the room, as long as this object lives and no other text is begun."""

    @property
    def room(self) -> Room:
        """Where entries go; there is none before a text is begun."""
        assert self._room is not None, "no text was begun"
        return self._room

    def begin(self, shape: Shape, capacity: int, steering: Program | None) -> None:
        """Forget what was noted, and make room for another text.

        Args:
            shape: of the model.
            capacity: positions.
            steering: edits, which may add entries to those that are kept.

        Raises:
            ModelError: if the model is dense, or at one of the sites.
        """
        known = shape.sites
        sites = self._sites or tuple(known.sparse)
        if not sites or not set(sites) <= set(known.sparse):
            told = ", ".join(known.sparse) or "nowhere"
            raise ModelError(
                f"a trace is of sparse sites, and the model is sparse at {told}",
                hint="leave other sites out; `sparsepath convert` makes a dense model sparse",
            )
        spots, starts, width = [], np.full(shape.n_layers * len(IN_ORDER), -1, np.int64), 0
        for layer in range(known.n_sparse_layers):
            for number, site in enumerate(IN_ORDER):
                if site not in sites:
                    continue
                spots.append((layer, site))
                starts[layer * len(IN_ORDER) + number] = width
                edits = steering.spots.get((layer, site)) if steering else None
                most = known.sparse[site] + shape.n_always_on + len(edits.edits if edits else ())
                width += min(most, known.widths[site])
        self.tokens, self.spots = [], tuple(spots)
        self._room = Room(
            starts,
            np.empty((capacity, width), np.int32),
            np.empty((capacity, width), np.float32),
            np.zeros((capacity, len(starts)), np.int32),
        )
        a, b, c, d = (int(array.ctypes.data) for array in self._room)
        self.addresses = Addresses(a, b, c, d, width, len(starts))

    def note(self, layer: int, site: Site, hidden: Floats, first: int) -> None:
        """Note the entries of some tokens that are not zero.

        Args:
            layer: number.
            site: of it; nothing happens where it is not traced.
            hidden: states after TopK and edits, [tokens, width].
            first: position.
        """
        spot = layer * len(IN_ORDER) + IN_ORDER.index(site)
        if (start := int(self.room.starts[spot])) < 0:
            return
        for position, row in enumerate(hidden, start=first):
            kept = np.flatnonzero(row)
            self.room.counts[position, spot] = len(kept)
            self.room.indices[position, start : start + len(kept)] = kept
            self.room.values[position, start : start + len(kept)] = row[kept]

    def kept(self, layer: int, site: Site = "block_out") -> Kept:
        """Give what a site kept of all tokens.

        Args:
            layer: from 0.
            site: of it.

        Raises:
            ConfigError: if it was not traced.
        """
        if (layer, site) not in self.spots:
            raise ConfigError(
                f"layer {layer}, {site} was not traced",
                hint=f"choose of {', '.join(place_name(*spot) for spot in self.spots) or 'none'}",
            )
        spot = layer * len(IN_ORDER) + IN_ORDER.index(site)
        n = len(self.tokens)
        counts, start = self.room.counts[:n, spot], int(self.room.starts[spot])
        starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        widest = int(counts.max(initial=0))
        is_kept = np.arange(widest) < counts[:, None]
        part = np.s_[:n, start : start + widest]
        return Kept(starts, self.room.indices[part][is_kept], self.room.values[part][is_kept])

    def at(self, position: int) -> list[tuple[Neuron, float]]:
        """List the neurons that fired at a token with their values, the largest in size first.

        Args:
            position: of a token that was read, from 0.
        """
        found: list[tuple[Neuron, float]] = []
        for layer, site in self.spots:
            kept = self.kept(layer, site)
            here = slice(kept.starts[position], kept.starts[position + 1])
            pairs = zip(kept.indices[here].tolist(), kept.values[here].tolist(), strict=True)
            found += [(Neuron(layer, site, index), value) for index, value in pairs]
        return sorted(found, key=lambda pair: -abs(pair[1]))


def write_trace(path: Path, trace: Trace) -> None:
    """Write a trace as safetensors: `tokens`, and `L02.starts`, `L02.indices`, `L02.values`.

    Args:
        path: of the file, written whole or not at all.
        trace: of a text.

    Raises:
        RunError: if it cannot be written.
    """
    tensors: dict[str, NDArray[Any]] = {"tokens": np.array(trace.tokens, np.int32)}
    for spot in trace.spots:
        for name, array in trace.kept(*spot)._asdict().items():
            tensors[f"{place_name(*spot)}.{name}"] = array
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, tensors, {})
    except (OSError, SafetensorError) as err:
        raise RunError(
            f"{path} cannot be written: {err}", hint="give a file in a folder of your own"
        ) from err
