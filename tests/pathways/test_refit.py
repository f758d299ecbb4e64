"""Least squares around present weights."""

import pytest
import torch

from sparsepath.pathways.refit import Affine, refit


def test_plenty_of_rows_find_the_true_weights() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 6, generator=generator)
    weight, bias = torch.randn(3, 6, generator=generator), torch.randn(3, generator=generator)
    found = refit(Affine(torch.zeros(3, 6), torch.zeros(3)), x, x @ weight.T + bias)
    torch.testing.assert_close(found.affine.weight, weight, atol=2e-2, rtol=0)
    torch.testing.assert_close(found.affine.bias, bias, atol=2e-2, rtol=0)
    assert found.error_after < 1e-3 * found.error_before


def test_right_weights_stay_to_the_last_bit() -> None:
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    present = Affine(torch.ones(3, 6), torch.ones(3))
    found = refit(present, x, x @ present.weight.T + present.bias)
    assert torch.equal(found.affine.weight, present.weight)


def test_noise_changes_nothing_for_the_worse() -> None:
    generator = torch.Generator().manual_seed(1)
    x, noise = torch.randn(30, 40, generator=generator), torch.randn(30, 2, generator=generator)
    present = Affine(torch.zeros(2, 40), torch.zeros(2))
    found = refit(present, x, noise)
    assert found.error_after <= found.error_before


@pytest.mark.parametrize("n_rows", [0, 1, 4])
def test_too_few_rows_leave_everything(n_rows: int) -> None:
    present = Affine(torch.ones(2, 3), torch.ones(2))
    found = refit(present, torch.ones(n_rows, 3), torch.zeros(n_rows, 2))
    assert found.penalty is None
    assert torch.equal(found.affine.weight, present.weight)


def test_without_features_the_bias_is_fitted() -> None:
    present = Affine(torch.zeros(2, 0), torch.zeros(2))
    found = refit(present, torch.zeros(20, 0), torch.tensor([[1.0, -2.0]]).repeat(20, 1))
    torch.testing.assert_close(found.affine.bias, torch.tensor([1.0, -2.0]), atol=5e-3, rtol=0)


def test_a_dead_feature_is_no_obstacle() -> None:
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    x[:, 2] = 0
    found = refit(Affine(torch.zeros(1, 4), torch.zeros(1)), x, x[:, :1])
    assert found.affine.weight.isfinite().all()
    assert found.error_after < 0.01 * found.error_before
