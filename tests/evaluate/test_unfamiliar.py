"""AUROC by hand and by counting pairs, and what members know beyond their mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sparsepath.evaluate.unfamiliar import auroc, noticed, shared_information

few = arrays(np.float64, st.integers(1, 12), elements=st.integers(0, 5).map(float))


@given(few, few)
def test_auroc_counts_pairs(low: np.ndarray, high: np.ndarray) -> None:
    pairs = [(a < b) + 0.5 * (a == b) for a in low for b in high]
    assert auroc(low, high) == pytest.approx(np.mean(pairs))


def test_members_that_agree_share_no_information_and_those_that_differ_do() -> None:
    same = np.tile([[[0.5, 0.5]]], (4, 1, 1))
    split = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert shared_information(same)[0] == pytest.approx(0.0)
    assert shared_information(split)[0] == pytest.approx(np.log(2), abs=1e-6)


def test_unsure_members_on_foreign_texts_are_noticed() -> None:
    own = np.tile([[[0.9, 0.1]] * 5], (3, 1, 1))
    foreign = np.array([[[0.9, 0.1]] * 4, [[0.1, 0.9]] * 4, [[0.5, 0.5]] * 4])
    found = noticed("self-ensemble", own, foreign)
    assert (found.by_confidence, found.by_disagreement) == (1.0, 1.0)
    assert noticed("dense", own[:1], own[:1]).by_confidence == 0.5
    assert noticed("dense", own[:1], own[:1]).by_disagreement is None
