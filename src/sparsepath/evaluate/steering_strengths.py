"""Strengths of a sweep as edits, for language models and classifiers alike."""

from collections.abc import Sequence
from typing import NamedTuple

from sparsepath.artifacts.edit import Edit, on_entry
from sparsepath.artifacts.neuron import Neuron
from sparsepath.artifacts.steering import EditLimit
from sparsepath.config import SweepOptions
from sparsepath.errors import ConfigError
from sparsepath.trace.edits import Sites, check_neuron
from sparsepath.trace.ranges import Ranges, limit_of


class Strength(NamedTuple):
    """How strong an edit is."""

    value: float
    is_times: bool
    """Whether it is a multiple of the neuron's usual largest value."""


class Steerable(NamedTuple):
    """What a model has that can be edited."""

    sites: Sites
    ranges: Ranges
    """Usual values."""


def read_strengths(text: str) -> list[Strength]:
    """Read strengths with commas, such as `2,4` or `1x,2x`.

    Raises:
        ConfigError: if one is no number.
    """
    found = []
    for part in text.split(","):
        word = part.strip()
        try:
            found.append(Strength(float(word.removesuffix("x")), word.endswith("x")))
        except ValueError as err:
            raise ConfigError(
                f"{part!r} is no strength", hint="write numbers with commas, such as 2,4,8 or 1x,2x"
            ) from err
    return found


def edits_of(
    places: Sequence[Neuron], strength: Strength, options: SweepOptions, model: Steerable
) -> list[Edit]:
    """Make the edits of one strength.

    Raises:
        ConfigError: if it is a multiple of the usual value of a neuron that has none, or a neuron
            is out of range.
        ModelError: if a sparse model has no such sparse site.
    """
    found = []
    for place in places:
        largest = 1.0
        if strength.is_times and options.operation != "scale":
            check_neuron(place, model.sites, is_dense_allowed=options.is_dense_allowed)
            largest = limit_of(place, model.ranges).largest
            if not largest:
                raise ConfigError(
                    f"{place.name} never fired on ordinary text, so {strength.value:g}x means "
                    "nothing",
                    hint="give strengths as numbers, such as --strengths 1,2,4",
                )
        entry, value = on_entry(place, options.operation, strength.value * largest)
        found.append(
            Edit(
                neuron=entry,
                operation=options.operation,
                value=value,
                positions=options.positions,
            )
        )
    return found


def edit_limit(edit: Edit, ranges: Ranges) -> EditLimit:
    """Write down how strong an edit may be."""
    limit = limit_of(edit.place, ranges)
    most = limit.factor if edit.operation == "scale" else limit.value
    return EditLimit(
        neuron=edit.neuron,
        largest=limit.largest,
        value=limit.value,
        factor=limit.factor,
        is_exceeded=abs(edit.value) > most,
    )
