"""Answers are counted by label, confidence and entropy."""

import numpy as np

from sparsepath.artifacts.answer_mix import BINS, bin_of, mix_of


def test_every_answer_is_counted_once_in_each_spread() -> None:
    mix = mix_of(np.array([[1.0, 0.0], [0.5, 0.5], [0.2, 0.8]], np.float32))
    assert mix.labels == [2, 1]
    assert sum(mix.confidence) == sum(mix.entropy) == 3
    assert (mix.confidence[BINS - 1], mix.confidence[bin_of(0.5)]) == (1, 1)
    assert (mix.entropy[0], mix.entropy[BINS - 1]) == (1, 1)


def test_the_ends_of_the_scale_have_a_class() -> None:
    assert (bin_of(0.0), bin_of(1.0), bin_of(-1e-9), bin_of(1 + 1e-9)) == (0, 14, 0, 14)
