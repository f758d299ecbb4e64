"""What a neuron fires on as a point in a space of tokens, and how near two such points are.

Each token is weighed by its share of the firings times the logarithm of its lift, and matched by
its text, so that tokenizers may differ. Likeness is the cosine, 0 to 1. `concepts.compare` does the
same for all neurons of a catalogue at once.
"""

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.neuron import Neuron

SAME = 0.5
"""Likeness from which two neurons count as having one meaning."""

Event = Literal["dead", "appears", "stays", "changes", "moves", "dies"]
"""What happens to a neuron from one catalogue to the next: it does not fire, fires for the first
time or again, keeps its meaning, gets another one, gets another one while its old meaning is now
found at another neuron of the layer, fires no more."""

Profile = dict[str, float]
"""Token to weight; the squares add up to 1, or there are none."""


class Near(NamedTuple):
    """A neuron that is like something."""

    neuron: Neuron
    likeness: float


def profile_of(catalogue: Catalogue, id_: int) -> Profile:
    """Read what a neuron fires on.

    Args:
        catalogue: open.
        id_: its number in the file.
    """
    return _profile(
        catalogue.database.execute(
            "SELECT text, share, lift FROM fires_on WHERE neuron = ?", (id_,)
        )
    )


def likeness(a: Profile, b: Profile) -> float:
    """Give the cosine of two profiles; 0 where one is empty."""
    return math.fsum(weight * b.get(text, 0.0) for text, weight in a.items())


def nearest(catalogue: Catalogue, wanted: Profile, neuron: Neuron) -> Near | None:
    """Find the neuron most like a profile, among the others of a neuron's site and layer.

    Args:
        catalogue: open.
        wanted: what it should fire on.
        neuron: which is left out.

    Returns:
        Of equal ones the first in the file; None where no other fires on any of it.
    """
    marks = ", ".join("?" * len(wanted))
    rows = catalogue.database.execute(
        "SELECT n.id, n.number, n.side, f.text, f.share, f.lift FROM neuron n "
        "JOIN fires_on f ON f.neuron = n.id WHERE n.layer = ? AND n.site = ? AND n.id IN "
        f"(SELECT neuron FROM fires_on WHERE text IN ({marks})) ORDER BY n.id",
        (neuron.layer, neuron.site, *wanted),
    )
    found: dict[Neuron, list[tuple[str, float, float]]] = {}
    for _, index, side, *token in rows:
        one = neuron._replace(index=index, side=side)
        if one != neuron:
            found.setdefault(one, []).append((token[0], token[1], token[2]))
    near = [Near(one, likeness(_profile(tokens), wanted)) for one, tokens in found.items()]
    return max(near, key=lambda one: one.likeness, default=None)


def _profile(rows: Iterable[tuple[str, float, float]]) -> Profile:
    """Weigh tokens."""
    weights: Profile = {}
    for text, share, lift in rows:
        weights[text] = weights.get(text, 0.0) + share * math.log2(max(lift, 1.0))
    length = math.sqrt(math.fsum(weight**2 for weight in weights.values()))
    return {text: weight / length for text, weight in weights.items()} if length else {}
