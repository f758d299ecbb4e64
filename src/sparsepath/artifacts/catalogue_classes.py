"""How neurons fire in the texts of each class, and which of them tell one class from others.

Of each neuron a catalogue holds, for every class, how many texts have their strongest value in
which of `N_BINS` ranges; the first one is of texts in which it does not fire, the others hold
equally many of those in which it does. AUROC is taken from these counts, ties counted half.
Needs no model and no torch.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_query import Hit
from sparsepath.errors import ConfigError

N_BINS = 9
"""Ranges of strongest values, that of silent texts among them."""

Counts = NDArray[np.int64]
"""Texts by class and range, [..., classes, `N_BINS`]."""


class Told(NamedTuple):
    """How neurons tell some texts from others, [neurons] each."""

    area: NDArray[np.float64]
    """AUROC of the strongest value in a text, 0 to 1; 0.5 is chance."""
    share: NDArray[np.float64]
    """Share of the wanted texts in which each fires."""
    share_of_others: NDArray[np.float64]
    """The same of the others."""


def told(wanted: Counts, others: Counts) -> Told:
    """Say how well neurons tell texts apart.

    Args:
        wanted: texts by range, [neurons, `N_BINS`], at least one of each neuron.
        others: the same of other texts.
    """
    n, n_others = wanted.sum(axis=-1), others.sum(axis=-1)
    below = np.cumsum(others, axis=-1) - others
    area = (wanted * (below + others / 2)).sum(axis=-1) / (n * n_others)
    return Told(area, 1 - wanted[..., 0] / n, 1 - others[..., 0] / n_others)


def search_known_classes(catalogue: Catalogue, wanted: str, other: str | None = None) -> list[Hit]:
    """Find neurons that fire for texts of one class and not for others, as the catalogue knows.

    Strength: AUROC of the neuron's strongest value in a text, 0.5 is chance.

    Args:
        catalogue: made on a table with labels.
        wanted: class for which neurons should fire.
        other: class for which they should not; None: all others.

    Raises:
        ConfigError: if it knows no such classes.
    """
    names = [one.name for one in catalogue.facts.classes]
    if not names:
        raise ConfigError(
            f"{catalogue.path} was made of text without classes",
            hint="give labelled texts: --table TABLE",
        )
    for name in (wanted, other):
        if name is not None and name not in names:
            raise ConfigError(
                f"no class {name!r} in {catalogue.path}",
                hint=f"its classes are {', '.join(names[:20])}",
            )
    if wanted == other:
        raise ConfigError(f"{wanted!r} and not {other!r}", hint="name two classes")
    rows = catalogue.database.execute(
        "SELECT neuron, counts FROM class_firing ORDER BY neuron"
    ).fetchall()
    counts = np.stack([read_counts(content) for _, content in rows])
    ours = counts[:, names.index(wanted)]
    theirs = counts.sum(axis=1) - ours if other is None else counts[:, names.index(other)]
    if not (ours[0].sum() and theirs[0].sum()):
        raise ConfigError(
            f"{catalogue.path} read no text of {wanted!r} or none of others",
            hint="build it again with more --tokens",
        )
    found = told(ours, theirs)
    best = np.argsort(-found.area, kind="stable").tolist()
    lines = catalogue.lines_of([rows[i][0] for i in best])
    n, n_others = int(ours[0].sum()), int(theirs[0].sum())
    return [
        Hit(
            line,
            float(found.area[i]),
            f"fires in {found.share[i]:.0%} of {n} texts, "
            f"in {found.share_of_others[i]:.0%} of {n_others} others",
        )
        for line, i in zip(lines, best, strict=True)
    ]


def read_counts(content: bytes) -> Counts:
    """Read the counts of a neuron, [classes, `N_BINS`]."""
    return np.frombuffer(content, "<u4").reshape(-1, N_BINS).astype(np.int64)
