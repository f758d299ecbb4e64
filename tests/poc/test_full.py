"""Fine-tuning starts from the logistic regression, whatever its biases."""

import torch

from sparsepath.poc.full import start_bias
from sparsepath.train.linear import ABSENT_BIAS


def test_biases_are_kept_however_low_and_labels_not_met_begin_like_the_rarest() -> None:
    # Features with a large mean, as some encoders have, need large biases.
    bias = torch.tensor([9.5, -6.5, -12.0])
    assert torch.equal(start_bias(bias), bias)
    some = torch.tensor([1.0, ABSENT_BIAS, -2.0])
    assert start_bias(some).tolist() == [1.0, -2.0, -2.0]
