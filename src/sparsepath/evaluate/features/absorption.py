"""Feature absorption: a feature of a class stays silent where a more special one speaks for it.

A probe of the hidden state on training rows gives the direction of a class. Its main features are
the first ones that fire more for it (in the order of `probing.py`); another is added while it
raises the F1 of a probe of them by more than 0.03, since a class that several features share is
split, not absorbed. On test rows of the class that the probe finds, the part of the projection on
its direction that other features carry in the place of the main ones is the *absorption fraction*;
where no main feature fires and a single other one carries 0.4 of the projection, absorption is
*full*.

Control: `random` - the same with random live features in the place of the main ones: what the
figure is when features have nothing to do with the class.

Source: Chanin et al. 2024, arXiv 2409.14507; formulas and thresholds of SAEBench, arXiv
2503.09532. They take words by their first letter, one token each; here a row is what the labels
are of, and features are ordered by how far their means are apart, not by an L1 probe.

Shape letters: N rows, F features, D entries of the hidden state.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sparsepath.errors import DataError
from sparsepath.evaluate.features.figures import Figure, mean_ci95, mean_of_means
from sparsepath.evaluate.features.probes import Probe, fit_probe
from sparsepath.evaluate.features.probing import Sides, ordered_features, sides
from sparsepath.evaluate.features.site import LEAST_ROWS, LabelledRows, SiteFeatures

F1_JUMP = 0.03
"""Gain from which a further feature counts as another main one."""

MAX_MAIN = 10
"""Main features at most."""

LEAST_COSINE, LEAST_COSINE_FULL = 0.1, 0.025
"""Between a feature's direction and the probe, for it to have absorbed something."""

LEAST_SHARE = 0.4
"""Of the projection, that absorbing features must carry together."""

N_ABSORBING = 3
"""Features at most that share what one row lost."""


class Absorbed(NamedTuple):
    """What was absorbed in each row."""

    fraction: Float[np.ndarray, " rows"]
    """0 to 1."""
    is_full: Bool[np.ndarray, " rows"]


class _Class(NamedTuple):
    """One class, ready to be measured."""

    main: Int[np.ndarray, " main"]
    probe: Probe
    rows: Int[np.ndarray, " rows"]
    """Test rows of the class that its probe finds."""


def feature_absorption(site: SiteFeatures, labelled: LabelledRows, *, seed: int = 0) -> Figure:
    """Measure how much of the classes is absorbed.

    Args:
        site: features in all rows.
        labelled: classes of the rows.
        seed: draws rows and random features.

    Returns:
        The mean absorption fraction over classes, 0 to 1; in `parts` that of each class and, as
        `full absorption`, the mean share of rows with full absorption.

    Raises:
        DataError: if no class has enough rows.
    """
    rng = np.random.default_rng(seed)
    fractions, full, random, parts = [], [], [], {}
    for number in labelled.usable():
        each = sides(labelled, number, rng)
        found = _class(site, each)
        if len(found.rows) < LEAST_ROWS:
            continue
        here = absorbed(site, found.rows, found.probe.weight, found.main)
        fractions.append(here.fraction)
        full.append(here.is_full.astype(np.float64))
        parts[labelled.names[number]] = float(here.fraction.mean())
        live = np.setdiff1d(site.live(each.train), found.main)
        instead = rng.permutation(live)[: len(found.main)]
        random.append(absorbed(site, found.rows, found.probe.weight, instead).fraction)
    if not fractions:
        raise DataError(
            f"probes find fewer than {LEAST_ROWS} test rows of every class at {site.name}",
            hint="give more rows, or another site",
        )
    return Figure(
        value=mean_of_means(fractions),
        ci95=mean_ci95(fractions, seed),
        n=sum(len(each) for each in fractions),
        controls={"random": mean_of_means(random)},
        parts={"full absorption": mean_of_means(full), **parts},
    )


def _class(site: SiteFeatures, each: Sides) -> _Class:
    """Find probe and main features of a class on training rows, and the test rows to look at."""
    probe = fit_probe(site.hidden[each.train], each.truth)
    positives = each.test[each.test_truth == 1]
    return _Class(main_features(site, each), probe, positives[probe.says(site.hidden[positives])])


def main_features(site: SiteFeatures, each: Sides) -> Int[np.ndarray, " main"]:
    """Find the features that stand for a class, on training rows: at least one."""
    ours, others = each.train[each.truth == 1], each.train[each.truth == 0]
    order = ordered_features(site, each.train, each.truth)
    # Silence tells a class too, where there are two; but only what fires for it can be absorbed.
    more = order[(site.mean(ours) > site.mean(others))[order]]
    order = more if len(more) else order
    best, n_main = -1.0, 1
    for n in range(1, min(MAX_MAIN, len(order)) + 1):
        values = site.of(each.train, order[:n])
        said = fit_probe(values, each.truth, by_column=True).says(values)
        f1 = _f1(said, each.truth == 1)
        if f1 <= best + F1_JUMP:
            break
        best, n_main = f1, n
    return order[:n_main]


def _f1(said: Bool[np.ndarray, " n"], truth: Bool[np.ndarray, " n"]) -> float:
    right = int((said & truth).sum())
    return 2 * right / max(1, int(said.sum()) + int(truth.sum()))


def absorbed(
    site: SiteFeatures,
    rows: Int[np.ndarray, " rows"],
    weight: Float[np.ndarray, " width"],
    main: Int[np.ndarray, " main"],
) -> Absorbed:
    """Say for each row how much of a class's projection others carry in the main features' place.

    Args:
        site: features.
        rows: of the class.
        weight: of its probe.
        main: features that stand for it.
    """
    unit = weight / np.linalg.norm(weight)
    along = site.projections(unit)
    lengths = 1.0 if site.directions is None else np.linalg.norm(site.directions, axis=1)
    cosines = np.divide(along, lengths, out=np.zeros_like(along), where=np.asarray(lengths) > 0)
    carried_NF = site.of(rows, np.arange(site.n_features)) * along
    whole = site.hidden[rows].astype(np.float64) @ unit
    by_main = carried_NF[:, main].sum(axis=1)
    others_NF = np.where(cosines >= LEAST_COSINE, np.maximum(carried_NF, 0), 0)
    others_NF[:, main] = 0
    best = -np.sort(-others_NF, axis=1)[:, :N_ABSORBING].sum(axis=1)
    top = carried_NF.argmax(axis=1)
    told = np.where(whole > 0, whole, np.inf)
    silent = (site.of(rows, main) == 0).all(axis=1)
    full = silent & (cosines[top] >= LEAST_COSINE_FULL) & (whole > 0)
    full &= carried_NF[np.arange(len(rows)), top] / told >= LEAST_SHARE
    return Absorbed(_fraction(whole, by_main, best), full)


def _fraction(
    whole: Float[np.ndarray, " rows"],
    by_main: Float[np.ndarray, " rows"],
    best: Float[np.ndarray, " rows"],
) -> Float[np.ndarray, " rows"]:
    """Give the share of what main and absorbing features carry that the absorbing ones do.

    They get no more than what the main ones leave of the projection.
    """
    taken = np.minimum(best, np.maximum(whole - by_main, 0))
    kept = np.maximum(by_main, 0)
    share = np.divide(taken, taken + kept, out=np.zeros_like(taken), where=taken + kept > 0)
    share = np.where(by_main <= 0, 1.0, share)
    carries = (whole > 0) & (by_main < whole) & (best >= LEAST_SHARE * whole)
    return np.where(carries, share, 0.0)
