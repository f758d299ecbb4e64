"""Find the neuron that a label names, in the catalogue beside a model.

A label names a neuron if it is a person's label of it, or the one that is shown, or a phrase of
that; the first of these ways that finds anything decides, and it must find one neuron only.
Letters' case and spaces do not matter.
"""

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path

from sparsepath.artifacts.catalogue import CATALOGUE_FILE, Catalogue
from sparsepath.artifacts.catalogue_query import search_words
from sparsepath.artifacts.catalogue_schema import NO_CLEAR_MEANING, NeuronLine
from sparsepath.artifacts.neuron import Neuron
from sparsepath.errors import ConfigError

Find = Callable[[str], Neuron]
"""Gives the neuron that a text names."""

N_NEAREST = 5
"""Neurons that an error lists."""

_LIKE_A_NEURON = re.compile(r"\s*L\d+[./]")


def finder(folder: Path | None) -> Find:
    """Make a function that reads names of neurons and of concepts.

    Args:
        folder: of the model, where its catalogue lies; None: concepts are not known.
    """

    def find(name: str) -> Neuron:
        return neuron_called(name, folder)

    return find


def neuron_called(name: str, folder: Path | None) -> Neuron:
    """Read the name of a neuron, or look a concept up.

    Args:
        name: such as `L02/117`, or a label.
        folder: as `finder` takes it.

    Raises:
        ConfigError: if nothing or more than one neuron is called so; the nearest ones are listed.
        RunError: if the catalogue is damaged, or of another model.
    """
    if _LIKE_A_NEURON.match(name):
        return Neuron.parse(name)
    if folder is None or not (folder / CATALOGUE_FILE).is_file():
        raise ConfigError(
            f"{name!r} names no neuron, and no catalogue lies beside the model to look it up in",
            hint="write L02/117 for the residual stream after block 2, or make a catalogue with: "
            f"sparsepath concepts build {folder or 'MODEL'} CORPUS",
        )
    with Catalogue(folder) as catalogue:
        lines = catalogue.lines(where="NOT is_dead")
        found = _called(name, lines)
        if len(found) == 1:
            return found[0].neuron
        near = found or _near(name, lines, catalogue)
    trouble = f"{len(found)} neurons are called {name!r}" if found else f"no neuron is {name!r}"
    listed = "; ".join(f"{line.neuron.name} ({line.label})" for line in near[:N_NEAREST])
    more = f" and {len(near) - N_NEAREST} more" if len(near) > N_NEAREST else ""
    raise ConfigError(
        trouble,
        hint=f"name one of the nearest: {listed}{more}"
        if near
        else "see `sparsepath concepts list`, or name a neuron by `sparsepath concepts note`",
    )


def _called(name: str, lines: Sequence[NeuronLine]) -> list[NeuronLine]:
    """Give the neurons that a label names, those with the best scores first."""
    wanted = _plain(name)
    phrase = re.compile(rf"(?<!\w){re.escape(wanted)}(?!\w)")
    ways: tuple[Callable[[NeuronLine], object], ...] = (
        lambda line: line.by_person and _plain(line.label) == wanted,
        lambda line: _plain(line.label) == wanted,
        lambda line: phrase.search(_plain(line.label)),
    )
    clear = [line for line in lines if line.label != NO_CLEAR_MEANING]
    for is_called in ways:
        if wanted and (found := [line for line in clear if is_called(line)]):
            return found
    return []


def _near(name: str, lines: Sequence[NeuronLine], catalogue: Catalogue) -> list[NeuronLine]:
    """Give neurons that fire on a word like it, or have a label like it."""
    hits = [hit.line for hit in search_words(catalogue, name)]
    labels = {_plain(line.label): line for line in lines if line.label != NO_CLEAR_MEANING}
    words = {word: line for text, line in labels.items() for word in re.findall(r"\w+", text)}
    alike = [
        table[text]
        for table in (labels, words)
        for text in get_close_matches(_plain(name), list(table), N_NEAREST)
    ]
    return list({line.neuron: line for line in [*hits[:N_NEAREST], *alike]}.values())[:N_NEAREST]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
