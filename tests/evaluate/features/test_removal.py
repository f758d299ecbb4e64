"""Removing features does what was planted: to its own class alone, or to a bias."""

import numpy as np
import planted_features as planted
import pytest

from sparsepath.errors import DataError
from sparsepath.evaluate.features.removal import (
    TwoAttributes,
    spurious_removal,
    targeted_perturbation,
)

N, WIDTH = 1200, 40


def three_classes(*, shared: bool) -> tuple[planted.SiteFeatures, planted.LabelledRows]:
    """Features 0, 1, 2 are the three classes; or the classes are levels of feature 0 alone."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, N)
    values = planted.noise((N, WIDTH), rng) / 10
    values[:, :3] = 0
    if shared:
        # Around a circle, so that each class can be told by a line, in two entries.
        values[:, 0] = np.cos(labels * 2 * np.pi / 3) * 5
        values[:, 1] = np.sin(labels * 2 * np.pi / 3) * 5
    else:
        values[np.arange(N), labels] = 5.0
    return planted.site(values), planted.labelled(labels, ("a", "b", "c"))


def test_removing_the_feature_of_a_class_breaks_its_probe_and_no_other() -> None:
    found = targeted_perturbation(*three_classes(shared=False), ns=(1,))[1]
    # A probe that never sees its class any more is right about the others: half of the rows.
    assert found.parts["intended fall"] == pytest.approx(0.5, abs=0.02)
    assert found.parts["other falls"] == pytest.approx(0.0, abs=0.02)
    assert found.value == pytest.approx(0.5, abs=0.03)
    assert found.ci95[0] <= found.value <= found.ci95[1]
    assert found.controls["random"] == pytest.approx(0.0, abs=0.1)


def test_features_that_are_silent_in_a_class_are_not_removed_for_it() -> None:
    # Their silence speaks for the class as well; removing them would harm the others' probes.
    found = targeted_perturbation(*three_classes(shared=False), ns=(3,))[3]
    assert found.parts["other falls"] == pytest.approx(0.0, abs=0.02)
    assert found.value == pytest.approx(0.5, abs=0.03)


def test_removing_what_classes_share_breaks_all_probes() -> None:
    found = targeted_perturbation(*three_classes(shared=True), ns=(2,))[2]
    assert found.parts["other falls"] > 0.1
    assert found.value < 0.3


def test_one_class_is_not_enough() -> None:
    site, rows = three_classes(shared=False)
    lonely = rows._replace(labels=np.where(rows.labels == 0, 0, -1))
    with pytest.raises(DataError, match="2 are needed"):
        targeted_perturbation(site, lonely)


def with_two_attributes(
    *, mixed: bool = False, spurious: float = 1.0
) -> tuple[planted.SiteFeatures, TwoAttributes]:
    """Features 0 and 1 are the target, 2 and 3 the spurious attribute, louder by a factor.

    Mixed: every feature says something about both.
    """
    rng = np.random.default_rng(0)
    target, other = rng.integers(0, 2, N), rng.integers(0, 2, N)
    values = planted.noise((N, WIDTH), rng) / 10
    values[:, 0], values[:, 1] = target, 1 - target
    values[:, 2], values[:, 3] = spurious * other, spurious * (1 - other)
    directions = None
    if mixed:
        directions = np.eye(WIDTH)
        turn = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, -1, 0], [0, 1, 0, -1]]) / np.sqrt(2)
        values[:, :4] = values[:, :4] @ turn.T
        directions[:4, :4] = turn
    train, test = planted.halves(N)
    names = ("target", "spurious")
    return planted.site(values, directions), TwoAttributes(target, other, names, train, test)


def test_removing_the_features_of_a_spurious_attribute_repairs_a_biased_probe() -> None:
    found = spurious_removal(*with_two_attributes(spurious=3.0), ns=(2,))[2]
    # Three times as loud: the biased probe follows the spurious attribute, right by chance only.
    assert found.parts["before"] == pytest.approx(0.5, abs=0.02)
    assert found.parts["unbiased"] == 1.0
    assert found.value == pytest.approx(1.0, abs=0.03)
    assert found.ci95[0] > 0.9
    assert found.controls["random"] == pytest.approx(0.0, abs=0.3)


def test_features_that_say_both_repair_less() -> None:
    apart = spurious_removal(*with_two_attributes(spurious=3.0), ns=(2,))[2].value
    mixed = spurious_removal(*with_two_attributes(spurious=3.0, mixed=True), ns=(2,))[2].value
    assert mixed < apart - 0.3


def test_a_probe_that_lost_nothing_has_nothing_to_repair() -> None:
    found = spurious_removal(*with_two_attributes(spurious=0.05), ns=(2,))[2]
    assert found.value is None
    assert "nothing to repair" in found.note


def test_attributes_that_always_go_together_are_refused() -> None:
    site, attributes = with_two_attributes()
    same = attributes._replace(second=attributes.first)
    with pytest.raises(DataError, match="0 rows have one pair of values of target and spurious"):
        spurious_removal(site, same)
