"""Disentanglement: do an attribute's features carry that attribute, and no other?

Two attributes of each row are read by probes of the hidden state, trained on rows where they do
not go together; rows that they read wrongly are left out. For a pair of test rows that differ in
both, the features chosen for the first attribute get their values from the other row. *Cause*: the
share of pairs in which the probe of the first attribute now says what it says of the other row.
*Isolation*: the share in which the probe of the second one still says what it said. The figure is
the mean of both, over both attributes: 1 means disentangled, 0.5 is what swapping nothing or
everything gives.

How many features stand for an attribute is chosen on training rows, by the same figure.

Control: `random` - as many random live features swapped.

Source: after Huang et al. 2024 (RAVEL), arXiv 2402.17700. There a model's own answers are read and
a mask of features is learnt; small models do not know facts of cities, so here probes read the
hidden state and features are ordered by how much more they move the one probe than the other.

Shape letters: N rows, F features, P pairs.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sparsepath.evaluate.features.figures import Figure, mean_ci95, mean_of_means
from sparsepath.evaluate.features.probes import Probe, fit_probe
from sparsepath.evaluate.features.removal import TwoAttributes, effects
from sparsepath.evaluate.features.site import SiteFeatures

NS = (1, 2, 5, 10, 20, 50)
"""Numbers of features that are tried for an attribute."""

MAX_PAIRS = 2000
"""Pairs of rows at most."""


class _Attribute(NamedTuple):
    """One attribute, ready to be measured."""

    probe: Probe
    other: Probe
    features: Int[np.ndarray, " few"]


class Swapped(NamedTuple):
    """What came of swapping, 1 or 0 for each pair."""

    cause: Float[np.ndarray, " pairs"]
    isolation: Float[np.ndarray, " pairs"]

    @property
    def score(self) -> float:
        """Mean of both means."""
        return float(self.cause.mean() + self.isolation.mean()) / 2


def disentanglement(site: SiteFeatures, attributes: TwoAttributes, *, seed: int = 0) -> Figure:
    """Measure how far the features of two attributes are apart.

    Args:
        site: features in all rows.
        attributes: two attributes of the rows.
        seed: draws rows, pairs and random features.

    Returns:
        The figure, 0 to 1; in `parts` cause and isolation of each attribute and how many features
        were swapped.

    Raises:
        DataError: if a pair of values has too few rows.
    """
    rng = np.random.default_rng(seed)
    both = (
        attributes.sides(attributes.first, rng),
        attributes.sides(attributes.second, rng),
    )
    probes = [fit_probe(site.hidden[each.train], each.truth) for each in both]
    strength = [np.abs(effects(site, p, each)) for p, each in zip(probes, both, strict=True)]
    strength = [each / max(each.sum(), 1e-12) for each in strength]
    truths = (attributes.first, attributes.second)
    known = np.logical_and(*(p.says(site.hidden) == t for p, t in zip(probes, truths, strict=True)))
    train, test = (
        _pairs(attributes, rows[known[rows]], rng) for rows in (attributes.train, attributes.test)
    )
    groups, random, parts = [], [], {}
    for which, name in enumerate(attributes.names):
        order = np.argsort(strength[1 - which] - strength[which], kind="stable")
        found = _choose(site, probes[which], probes[1 - which], order, train)
        swapped = _swap(site, found, test)
        groups += [swapped.cause, swapped.isolation]
        live = rng.permutation(site.live(both[which].train))
        random.append(_swap(site, found._replace(features=live[: len(found.features)]), test).score)
        parts[f"cause of {name}"] = float(swapped.cause.mean())
        parts[f"isolation of {name}"] = float(swapped.isolation.mean())
        parts[f"features of {name}"] = float(len(found.features))
    return Figure(
        value=mean_of_means(groups),
        ci95=mean_ci95(groups, seed),
        n=len(test[0]),
        controls={"random": float(np.mean(random))},
        parts=parts,
    )


Pairs = tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]
"""Rows that are changed, and rows whose values they get."""


def _pairs(
    attributes: TwoAttributes, rows: Int[np.ndarray, " n"], rng: np.random.Generator
) -> Pairs:
    """Draw pairs of rows that differ in both attributes, all four kinds alike."""
    cells = attributes.cells(rows, rng).reshape(4, -1)
    n = min(cells.shape[1], MAX_PAIRS // 4)
    # Cells come as 00, 01, 10, 11: the opposite of the first is the last.
    bases = np.concatenate([rng.permutation(cell)[:n] for cell in cells])
    sources = np.concatenate([rng.permutation(cell)[:n] for cell in cells[::-1]])
    return bases, sources


def _choose(
    site: SiteFeatures,
    probe: Probe,
    other: Probe,
    order: Int[np.ndarray, " features"],
    pairs: Pairs,
) -> _Attribute:
    """Choose how many features stand for an attribute."""
    tried = [_Attribute(probe, other, order[:n]) for n in NS if n <= len(order)]
    scores = [_swap(site, each, pairs).score for each in tried]
    return tried[int(np.argmax(scores))]


def _swap(site: SiteFeatures, attribute: _Attribute, pairs: Pairs) -> Swapped:
    """Give rows the features of their partners, and see what both probes say then."""
    bases, sources = pairs
    values = site.of(sources, attribute.features)
    hidden = site.changed(bases, attribute.features, values)
    # Pairs differ in both attributes and probes are right about all rows, so nothing is right by
    # chance: before a swap cause is 0 and isolation 1.
    wanted = attribute.probe.says(site.hidden[sources]).astype(np.int64)
    kept = attribute.other.says(site.hidden[bases]).astype(np.int64)
    return Swapped(attribute.probe.right(hidden, wanted), attribute.other.right(hidden, kept))
