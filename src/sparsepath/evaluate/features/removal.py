"""Removing features: does it take away one concept, and only that?

*Targeted probe perturbation* (TPP): each class has a probe of the hidden state. The n features
that speak most for a class are set to zero; the figure is by how much the accuracy of its own
probe falls beyond the mean fall of the others, averaged over classes. High is good.

*Spurious correlation removal* (SCR): a probe of a target attribute is trained on rows where
another, spurious attribute always goes with it, so it partly reads that one. The n features that
speak most about the spurious attribute are set to zero; the figure is which share of the lost
accuracy on balanced rows comes back: (after - before) / (unbiased - before). 1 repairs the probe,
0 does nothing, below 0 harms.

A feature speaks for a class by the difference of its means times what it adds to the probe's
logit; for TPP only features that fire more in the class count, for SCR either side does.

Control: `random` - as many random live features removed.

Source: Karvonen et al. 2024, arXiv 2411.18895; SAEBench, arXiv 2503.09532, which takes the mean
over tokens as here, and for SCR the one of both directions whose probe is worse; here the caller
says which attribute is the spurious one.

Shape letters: N rows, F features, D entries of the hidden state.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sparsepath.errors import DataError
from sparsepath.evaluate.features.figures import Figure, mean_ci95, ratio_ci95
from sparsepath.evaluate.features.probes import Probe, fit_probe
from sparsepath.evaluate.features.probing import Sides, sides
from sparsepath.evaluate.features.site import LEAST_ROWS, LabelledRows, SiteFeatures

LEAST_BIAS = 0.01
"""Accuracy that a biased probe must have lost for its repair to mean something."""

Right = Float[np.ndarray, " rows"]


def effects(site: SiteFeatures, probe: Probe, each: Sides) -> Float[np.ndarray, " features"]:
    """Give how much each feature moves a probe from one side's mean row to the other's, in logits.

    Args:
        site: features.
        probe: of the hidden state.
        each: rows; the training ones are looked at.
    """
    apart = site.mean(each.train[each.truth == 1]) - site.mean(each.train[each.truth == 0])
    found: Float[np.ndarray, " features"] = apart * site.projections(probe.weight)
    return found


def targeted_effects(
    site: SiteFeatures, probe: Probe, each: Sides
) -> Float[np.ndarray, " features"]:
    """The same for features that fire more in the class; zero for others."""
    apart = site.mean(each.train[each.truth == 1]) - site.mean(each.train[each.truth == 0])
    found: Float[np.ndarray, " features"] = np.maximum(apart, 0) * site.projections(probe.weight)
    return found


def _largest(strength: Float[np.ndarray, " features"], n: int) -> Int[np.ndarray, " few"]:
    """Give the n largest entries above zero."""
    order = np.argsort(-strength, kind="stable")[:n]
    return order[strength[order] > 0]


def targeted_perturbation(
    site: SiteFeatures,
    labelled: LabelledRows,
    *,
    ns: Sequence[int] = (2, 5, 10, 20),
    seed: int = 0,
) -> dict[int, Figure]:
    """Measure targeted probe perturbation.

    Args:
        site: features in all rows.
        labelled: classes of the rows.
        ns: numbers of features to remove; where fewer speak for a class, those.
        seed: draws rows and random features.

    Returns:
        By n the figure, -1 to 1; in `parts` the mean falls, intended and not.

    Raises:
        DataError: if fewer than two classes have enough rows.
    """
    rng = np.random.default_rng(seed)
    drawn = {number: sides(labelled, number, rng) for number in labelled.usable(2)}
    probes = {n: fit_probe(site.hidden[each.train], each.truth) for n, each in drawn.items()}
    strengths = {n: targeted_effects(site, probes[n], each) for n, each in drawn.items()}
    live = {n: rng.permutation(site.live(each.train)) for n, each in drawn.items()}
    found = {}
    for n in ns:
        chosen = {number: _largest(strengths[number], n) for number in drawn}
        random = {number: live[number][: len(chosen[number])] for number in drawn}
        falls = _falls(site, drawn, probes, chosen)
        by_chance = _falls(site, drawn, probes, random)
        found[n] = Figure(
            value=falls.value,
            ci95=falls.ci95(seed),
            n=sum(len(each.test) for each in drawn.values()),
            controls={"random": by_chance.value},
            parts={"intended fall": falls.intended, "other falls": falls.others},
        )
    return found


class _Falls(NamedTuple):
    """What removal did to all probes."""

    groups: list[Right]
    """For each probe the rows' weighted shares in the figure; their means add up to it."""
    intended: float
    others: float

    @property
    def value(self) -> float:
        return self.intended - self.others

    def ci95(self, seed: int) -> tuple[float, float]:
        low, high = mean_ci95([group * len(self.groups) for group in self.groups], seed)
        return low, high


def _falls(
    site: SiteFeatures,
    drawn: dict[int, Sides],
    probes: dict[int, Probe],
    chosen: dict[int, Int[np.ndarray, " few"]],
) -> _Falls:
    """Remove the features of each class in turn and see what every probe loses."""
    groups: list[Right] = []
    intended: list[float] = []
    others: list[float] = []
    n = len(drawn)
    for read, each in drawn.items():
        before = probes[read].right(site.hidden[each.test], each.test_truth)
        share = np.zeros(len(each.test))
        for removed, features in chosen.items():
            after = probes[read].right(site.changed(each.test, features), each.test_truth)
            fall = before - after
            (intended if removed == read else others).append(float(fall.mean()))
            share += fall / n if removed == read else -fall / (n * (n - 1))
        groups.append(share)
    return _Falls(groups, float(np.mean(intended)), float(np.mean(others)))


class TwoAttributes(NamedTuple):
    """Rows with two yes-or-no attributes."""

    first: Int[np.ndarray, " rows"]
    """1 or 0; -1: neither, the row is left out."""
    second: Int[np.ndarray, " rows"]
    names: tuple[str, str]
    """Of the attributes."""
    train: Int[np.ndarray, " train"]
    test: Int[np.ndarray, " test"]

    def cells(
        self, rows: Int[np.ndarray, " n"], rng: np.random.Generator, *, only_equal: bool = False
    ) -> Int[np.ndarray, " m"]:
        """Draw as many rows of each pair of values.

        Args:
            rows: to draw from.
            rng: draws.
            only_equal: only the pairs of equal values: both attributes then always go together.

        Raises:
            DataError: if a pair of values has too few rows.
        """
        pairs = [(0, 0), (1, 1)] if only_equal else [(0, 0), (0, 1), (1, 0), (1, 1)]
        found = [rows[(self.first[rows] == a) & (self.second[rows] == b)] for a, b in pairs]
        n = min(len(each) for each in found)
        if n < LEAST_ROWS:
            raise DataError(
                f"{n} rows have one pair of values of {self.names[0]} and {self.names[1]}, "
                f"{LEAST_ROWS} are needed in training rows and in test rows",
                hint="give rows of all four pairs of the two commonest values",
            )
        return np.concatenate([rng.permutation(each)[:n] for each in found])

    def sides(self, values: Int[np.ndarray, " rows"], rng: np.random.Generator) -> Sides:
        """Draw balanced rows, with one of the attributes as what is asked for."""
        train, test = self.cells(self.train, rng), self.cells(self.test, rng)
        return Sides(train, values[train], test, values[test])


def spurious_removal(
    site: SiteFeatures,
    attributes: TwoAttributes,
    *,
    ns: Sequence[int] = (2, 5, 10, 20),
    seed: int = 0,
) -> dict[int, Figure]:
    """Measure spurious correlation removal; the second attribute is the spurious one.

    Args:
        site: features in all rows.
        attributes: target and spurious attribute of the rows.
        ns: numbers of features to remove; where fewer say anything, those.
        seed: draws rows and random features.

    Returns:
        By n the figure, at most about 1; in `parts` the accuracies. None where the biased probe
        lost nothing.

    Raises:
        DataError: if a pair of values has too few rows.
    """
    rng = np.random.default_rng(seed)
    target = attributes.sides(attributes.first, rng)
    spurious = attributes.sides(attributes.second, rng)
    equal = attributes.cells(attributes.train, rng, only_equal=True)
    biased = fit_probe(site.hidden[equal], attributes.first[equal])
    unbiased = fit_probe(site.hidden[target.train], target.truth)
    reads = fit_probe(site.hidden[spurious.train], spurious.truth)
    strength = np.abs(effects(site, reads, spurious))
    live = rng.permutation(site.live(target.train))
    before = biased.right(site.hidden[target.test], target.test_truth)
    best = unbiased.right(site.hidden[target.test], target.test_truth)

    def gain(features: Int[np.ndarray, " few"]) -> Right:
        after = biased.right(site.changed(target.test, features), target.test_truth)
        return np.asarray(after - before)

    found = {}
    for n in ns:
        chosen = _largest(strength, n)
        found[n] = _scr(gain(chosen), gain(live[: len(chosen)]), before, best, seed)
    return found


def _scr(gain: Right, random: Right, before: Right, best: Right, seed: int) -> Figure:
    """Put one figure together."""
    lost = float((best - before).mean())
    parts = {
        "before": float(before.mean()),
        "after": float((before + gain).mean()),
        "unbiased": float(best.mean()),
    }
    if lost < LEAST_BIAS:
        note = f"the biased probe lost {lost:.3f} of accuracy: nothing to repair"
        return Figure(value=None, ci95=None, n=len(gain), parts=parts, note=note)
    return Figure(
        value=float(gain.mean()) / lost,
        ci95=ratio_ci95(gain, best - before, seed),
        n=len(gain),
        controls={"random": float(random.mean()) / lost},
        parts=parts,
    )
