"""Sparse probing: how well a class can be told from the k features that differ most for it.

For each class, rows of it and as many of other classes are drawn. On training rows features are
ordered by how far their means of both sides are apart, in units of their spread, and logistic
regression is fitted on the first k. The figure is the accuracy on test rows, 0.5 is chance,
averaged over classes.

Controls, means of three draws: `random` - as many live features; `permuted` - features and probe
chosen for labels that were shuffled among the training rows. And `dense` - a probe of the whole
hidden state, what k features can reach at most.

Source: Gurnee et al. 2023, arXiv 2305.01610; balanced one-against-the-rest accuracies and mean
activations as in SAEBench, arXiv 2503.09532. SAEBench orders features by the difference of their
means alone (here `by="difference"`) and gives its probes values as they are; here each column is
divided by its spread, so that the penalty does not favour large ones.

Shape letters: N rows, F features, K chosen ones.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sparsepath.errors import ConfigError
from sparsepath.evaluate.features.figures import Figure, mean_ci95, mean_of_means
from sparsepath.evaluate.features.probes import fit_probe
from sparsepath.evaluate.features.site import LabelledRows, SiteFeatures

By = Literal["effect", "difference"]
"""How features are ordered: difference of means over spread, or the difference alone."""

N_DRAWS = 3
"""Draws of random features, and of permutations."""


class Sides(NamedTuple):
    """Balanced rows of one class and of others."""

    train: Int[np.ndarray, " train"]
    truth: Int[np.ndarray, " train"]
    """Of training rows."""
    test: Int[np.ndarray, " test"]
    test_truth: Int[np.ndarray, " test"]


def ordered_features(
    site: SiteFeatures,
    rows: Int[np.ndarray, " n"],
    truth: Int[np.ndarray, " n"],
    by: By = "effect",
) -> Int[np.ndarray, " features"]:
    """Order features by how differently they fire on both sides, the most different first.

    Args:
        site: features.
        rows: to compare.
        truth: 1 or 0 for each row, both there.
        by: measure of the difference.
    """
    apart = np.abs(site.mean(rows[truth == 1]) - site.mean(rows[truth == 0]))
    if by == "effect":
        values = site.values[rows]
        squares = np.asarray(values.power(2).mean(axis=0), dtype=np.float64).reshape(-1)
        spread = np.sqrt(np.maximum(squares - site.mean(rows) ** 2, 0))
        apart = np.divide(apart, spread, out=np.zeros_like(apart), where=spread > 1e-12)
    return np.argsort(-apart, kind="stable")


def sides(labelled: LabelledRows, number: int, rng: np.random.Generator) -> Sides:
    """Draw balanced rows of a class and of others, for training and for the test."""
    return Sides(
        *labelled.balanced(number, labelled.train, rng),
        *labelled.balanced(number, labelled.test, rng),
    )


def sparse_probing(
    site: SiteFeatures,
    labelled: LabelledRows,
    *,
    ks: Sequence[int] = (1, 2, 5),
    by: By = "effect",
    seed: int = 0,
) -> dict[int, Figure]:
    """Measure sparse probing for several numbers of features.

    Args:
        site: features in all rows.
        labelled: classes of the rows.
        ks: numbers of features, each 1 to all of them.
        by: how features are ordered.
        seed: draws rows, random features and permutations.

    Returns:
        By k the mean accuracy, 0 to 1.

    Raises:
        ConfigError: if a k is out of range.
        DataError: if no class has enough rows.
    """
    wrong = [k for k in ks if not 1 <= k <= site.n_features]
    if wrong:
        raise ConfigError(
            f"k = {wrong[0]} of {site.n_features} features at {site.name}",
            hint=f"choose 1 to {site.n_features}",
        )
    rng = np.random.default_rng(seed)
    drawn = {number: sides(labelled, number, rng) for number in labelled.usable()}
    dense = mean_of_means([_of_hidden(site, each) for each in drawn.values()])
    return {k: _figure(site, labelled, drawn, k, by, (dense, seed)) for k in ks}


def _figure(
    site: SiteFeatures,
    labelled: LabelledRows,
    drawn: dict[int, Sides],
    k: int,
    by: By,
    extra: tuple[float, int],
) -> Figure:
    """Measure one k over all classes."""
    dense, seed = extra
    rng = np.random.default_rng((seed, k))
    right, random, permuted, parts = [], [], [], {}
    for number, each in drawn.items():
        right.append(
            _of_features(site, each, ordered_features(site, each.train, each.truth, by)[:k])
        )
        parts[labelled.names[number]] = float(right[-1].mean())
        live = site.live(each.train)
        for _ in range(N_DRAWS):
            some = rng.permutation(live if len(live) >= k else site.n_features)[:k]
            random.append(_of_features(site, each, some))
            shuffled = each._replace(truth=rng.permutation(each.truth))
            best = ordered_features(site, shuffled.train, shuffled.truth, by)[:k]
            permuted.append(_of_features(site, shuffled, best))
    return Figure(
        value=mean_of_means(right),
        ci95=mean_ci95(right, seed),
        n=sum(len(each) for each in right),
        controls={
            "random": mean_of_means(random),
            "permuted": mean_of_means(permuted),
            "dense": dense,
        },
        parts=parts,
    )


def _of_features(
    site: SiteFeatures, each: Sides, features: Int[np.ndarray, " k"]
) -> Float[np.ndarray, " test"]:
    """Say for each test row whether a probe of some features is right."""
    probe = fit_probe(site.of(each.train, features), each.truth, by_column=True)
    return probe.right(site.of(each.test, features), each.test_truth)


def _of_hidden(site: SiteFeatures, each: Sides) -> Float[np.ndarray, " test"]:
    """The same for the whole hidden state."""
    probe = fit_probe(site.hidden[each.train], each.truth, by_column=True)
    return probe.right(site.hidden[each.test], each.test_truth)
