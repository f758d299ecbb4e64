"""Products with rows of 8 bits, summed as whole numbers, are as near as factors of 15 bits are."""

import pytest
import torch
from torch import Tensor

from sparsepath.kernels.native import Level, best_level
from sparsepath.kernels.sparse_linear import InputMajor, sparse_linear, store

LEVELS = [Level(level) for level in range(1, int(best_level() or 0) + 1)]
ROWS = 8

pytestmark = pytest.mark.skipif(not LEVELS, reason="needs a processor with vectors")


def _made(n_in: int, n_out: int, k: int) -> tuple[Tensor, Tensor, InputMajor]:
    generator = torch.Generator().manual_seed(n_in + n_out + k)
    weight = store(torch.randn(n_in, n_out, generator=generator), "int8")
    values = torch.randn(1, k, generator=generator)
    indices = torch.randperm(n_in, generator=generator)[:k].sort().values[None]
    return values, indices, weight


def _exact(values: Tensor, indices: Tensor, weight: InputMajor) -> Tensor:
    return values.double() @ weight.dense().double()[indices[0]]


def _bound(values: Tensor, indices: Tensor, weight: InputMajor) -> Tensor:
    """Give half of 1/32,767 of the largest factor of each eight, times what rows hold at most."""
    rows = weight.dense().double()[indices[0]]
    scales = rows.abs().amax(dim=1).clamp_min(1e-300) / 127
    factors, stored = (values[0] * scales).abs(), (rows / scales[:, None]).abs()
    most = torch.zeros_like(factors)
    for eight in range(0, len(factors), ROWS):
        most[eight : eight + ROWS] = factors[eight : eight + ROWS].max()
    return (0.5 / 32767) * (most[:, None] * stored).sum(dim=0)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("k", [1, 7, 8, 9, 64, 100])
@pytest.mark.parametrize("n_out", [1, 31, 32, 33, 64, 100, 4096, 4130])
def test_no_output_is_further_off_than_its_factors_are(n_out: int, k: int, level: Level) -> None:
    values, indices, weight = _made(120, n_out, k)
    found = sparse_linear(values, indices, weight, level=level)
    exact = _exact(values, indices, weight)
    assert ((found - exact).abs() <= 1.01 * _bound(values, indices, weight) + 1e-5).all()


def test_all_instruction_sets_give_the_same_bits() -> None:
    for n_out in (5, 96, 4200):
        values, indices, weight = _made(90, n_out, 70)
        bias = torch.randn(n_out, generator=torch.Generator().manual_seed(0))
        found = [sparse_linear(values, indices, weight, bias, level=level) for level in LEVELS]
        assert all(torch.equal(found[0], other) for other in found)


@pytest.mark.parametrize("level", LEVELS)
def test_a_loud_value_does_not_round_the_others_away(level: Level) -> None:
    values, indices, weight = _made(200, 64, 160)
    quiet = sparse_linear(values, indices, weight, level=level)
    loud = values.clone()
    loud[0, 50] = 3e4
    found = sparse_linear(loud, indices, weight, level=level).double()
    alone = torch.zeros_like(values)
    alone[0, 50] = loud[0, 50] - values[0, 50]
    left = found - _exact(alone, indices, weight)
    # A sum in fp32 itself rounds at each of its 20 additions.
    size = (alone.abs().double() @ weight.dense().double()[indices[0]].abs()) / 2**24
    assert ((left - quiet).abs() <= 20 * size + 1e-3).all()


@pytest.mark.parametrize("level", LEVELS)
def test_tiny_huge_and_zero_values_are_no_exception(level: Level) -> None:
    values, indices, weight = _made(40, 96, 24)
    for factor in (1e-38, 1e-33, 1e-20, 1e20, 1e35):
        exact = _exact(values * factor, indices, weight)
        found = sparse_linear(values * factor, indices, weight, level=level).double()
        assert (found - exact).abs().max() <= 1e-4 * factor * 10 + 1e-30
    nothing = sparse_linear(torch.zeros(1, 24), indices, weight, level=level)
    assert torch.equal(nothing, torch.zeros(1, 96))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_shows(bad: float, level: Level) -> None:
    values, indices, weight = _made(40, 70, 20)
    values[0, 11] = bad
    found = sparse_linear(values, indices, weight, level=level)
    wanted = sparse_linear(values, indices, weight, level=Level.PLAIN)
    torch.testing.assert_close(found, wanted, equal_nan=True)
    assert not torch.isfinite(found).all()
