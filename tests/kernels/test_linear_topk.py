"""Linear maps before and after the largest entries give what dense products and autograd give."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sparsepath.errors import ShapeError
from sparsepath.kernels import linear_topk as module
from sparsepath.kernels import reference
from sparsepath.kernels import sparse_linear as products
from sparsepath.kernels.linear_topk import Encoded, linear_then_topk, topk_then_linear

WIDTH, OUT = 24, 10

INPUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "plain": lambda x: x[:, 0],
    "one row": lambda x: x[:1, 0],
    "no rows": lambda x: x[:0, 0],
    "a vector": lambda x: x[0, 0],
    "more axes": lambda x: x,
    "not contiguous": lambda x: x[:, 0].mT.contiguous().mT,
    "every second row": lambda x: x[::2, 0],
    "ties": lambda x: x[:, 0].round(),
    "zeros": lambda x: x[:, 0] * 0,
    "negative": lambda x: -x[:, 0].abs(),
    "many rows": lambda x: x[:, 0].repeat(20, 1),
}


def drawn(case: str, dtype: torch.dtype) -> Tensor:
    """Draw rows."""
    return INPUTS[case](torch.randn(4, 3, WIDTH, generator=_chance(0))).to(dtype)


def _chance(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights(rows: int, columns: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Draw a matrix and a bias for each side."""
    chance = _chance(1)
    return tuple(
        torch.randn(*shape, generator=chance).to(dtype).requires_grad_()
        for shape in ((rows, columns), (rows,), (columns,))
    )  # type: ignore[return-value]


def kept_dense(x: Tensor, k: int) -> Tensor:
    """Keep the largest entries, by the definition."""
    indices = reference.largest(x.detach(), k)[1]
    return torch.zeros_like(x).scatter(-1, indices, x.gather(-1, indices))


def ramp(y: Tensor) -> Tensor:
    """Gradients of an output, different everywhere."""
    return torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view(y.shape)


def compare(found: tuple[Tensor, ...], wanted: tuple[Tensor, ...], dtype: torch.dtype) -> None:
    """Compare values and gradients."""
    limit = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.06}[dtype]
    for name, a, b in zip(["y", "dx", "dw", "db"], found, wanted, strict=False):
        assert a.dtype == dtype
        torch.testing.assert_close(a, b, atol=limit, rtol=limit, msg=name)


DTYPES = [torch.float64, torch.float32, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 5, WIDTH])
@pytest.mark.parametrize("case", INPUTS)
def test_largest_entries_times_a_matrix(case: str, k: int, dtype: torch.dtype) -> None:
    weight, _, bias = weights(WIDTH, OUT, dtype)

    def run(way: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        x = drawn(case, dtype).requires_grad_()
        y = way(x)
        return (y.detach(), *torch.autograd.grad(y, (x, weight, bias), ramp(y)))

    found = run(lambda x: topk_then_linear(x, k, weight, bias))
    compare(found, run(lambda x: kept_dense(x, k) @ weight + bias), dtype)


def encoded_dense(x: Tensor, weight: Tensor, bias: Tensor, k: int, is_positive: bool) -> Encoded:
    """Encode by dense operators alone."""
    dense = torch.nn.functional.linear(x, weight, bias)
    indices = reference.largest(dense.detach(), k)[1]
    values = dense.gather(-1, indices)
    return Encoded(values.relu() if is_positive else values, indices, dense)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("uses", ["values", "dense", "both"])
@pytest.mark.parametrize("is_positive", [False, True])
@pytest.mark.parametrize("case", INPUTS)
def test_largest_features_of_a_linear_map(
    case: str, is_positive: bool, uses: str, dtype: torch.dtype
) -> None:
    # Two faults of a known kernel: what uses all features sent back nothing, and features that the
    # ReLU had switched off sent back something. With "zeros" and this bias few are positive.
    weight, bias, _ = weights(OUT, WIDTH, dtype)
    bias = (bias - 1).detach().requires_grad_()

    def run(way: Callable[[Tensor], Encoded]) -> tuple[Tensor, ...]:
        x = drawn(case, dtype).requires_grad_()
        out = way(x)
        parts = [out.values] if uses == "values" else [out.dense]
        parts += [out.values] if uses == "both" else []
        grads = torch.autograd.grad(parts, (x, weight, bias), [ramp(part) for part in parts])
        return (out.values.detach(), *grads)

    found = run(lambda x: linear_then_topk(x, weight, bias, 6, is_positive=is_positive))
    compare(found, run(lambda x: encoded_dense(x, weight, bias, 6, is_positive)), dtype)


def test_switched_off_features_send_nothing_back() -> None:
    weight, bias, _ = weights(OUT, WIDTH, torch.float32)
    x = torch.randn(3, WIDTH, requires_grad=True)
    bias = torch.full((OUT,), -1e3, requires_grad=True)
    values = linear_then_topk(x, weight, bias, 4, is_positive=True).values
    for grad in torch.autograd.grad(values.sum(), (x, weight, bias)):
        assert not grad.any()


def test_a_loss_on_all_features_reaches_the_weight() -> None:
    weight, bias, _ = weights(OUT, WIDTH, torch.float32)
    x = torch.randn(3, WIDTH, requires_grad=True)
    dense = linear_then_topk(x, weight, bias, 2).dense
    for grad in torch.autograd.grad(dense.square().sum(), (x, weight, bias)):
        assert grad.abs().min() > 0


def test_a_weight_that_is_used_twice_gets_both_gradients() -> None:
    def run(keep: Callable[[Tensor, int, Tensor], Tensor]) -> tuple[Tensor, ...]:
        weight = torch.randn(WIDTH, WIDTH, generator=_chance(2)).double().requires_grad_()
        x = drawn("plain", torch.float64).requires_grad_()
        y = keep(keep(x, 5, weight), 7, weight) + keep(x, 3, weight)
        return (y.detach(), *torch.autograd.grad(y, (x, weight), ramp(y)))

    found = run(lambda x, k, w: topk_then_linear(x, k, w))
    compare(found, run(lambda x, k, w: kept_dense(x, k) @ w), torch.float64)


def test_gradients_pile_up_over_calls() -> None:
    weight, bias, _ = weights(OUT, WIDTH, torch.float64)
    x = drawn("plain", torch.float64)
    linear_then_topk(x, weight, bias, 3).values.sum().backward()
    assert weight.grad is not None
    once = weight.grad.clone()
    linear_then_topk(x, weight, bias, 3).values.sum().backward()
    torch.testing.assert_close(weight.grad, 2 * once)


def test_nan_stands_above_everything_and_stays_in_its_row() -> None:
    weight, _, _ = weights(WIDTH, OUT, torch.float32)
    x = drawn("plain", torch.float32)
    x[1, 7] = torch.nan
    x.requires_grad_()
    y = topk_then_linear(x, 2, weight)
    assert y.isnan().any(dim=-1).tolist() == [False, True, False, False]
    (of_x,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert of_x.isfinite().all()
    assert of_x[1, 7] != 0


def test_rows_of_no_kept_entry_are_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, _, _ = weights(WIDTH, OUT, torch.float64)
    x = drawn("one row", torch.float64).requires_grad_()
    used = set(reference.largest(x.detach(), 3)[1].flatten().tolist())
    with torch.no_grad():
        for row in set(range(WIDTH)) - used:
            weight[row] = torch.nan
    y = topk_then_linear(x, 3, weight)
    of_x, of_weight = torch.autograd.grad(y.sum(), (x, weight))
    assert y.isfinite().all()
    assert of_x.isfinite().all()
    assert set(of_weight.any(dim=1).nonzero().flatten().tolist()) == used


@pytest.mark.parametrize("is_positive", [False, True])
def test_numerical_gradients_agree(is_positive: bool) -> None:
    weight, bias, _ = weights(OUT, WIDTH, torch.float64)
    x = drawn("plain", torch.float64).requires_grad_()

    def both(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        found = linear_then_topk(x, weight, bias, 4, is_positive=is_positive)
        return found.values, found.dense

    assert torch.autograd.gradcheck(both, (x, weight, bias))
    turned = weight.detach().mT.contiguous().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: topk_then_linear(x, 4, w), (x, turned))


def test_a_map_without_bias() -> None:
    weight, _, _ = weights(OUT, WIDTH, torch.float64)
    x, none = drawn("plain", torch.float64).requires_grad_(), torch.zeros(OUT).double()
    for part in ("values", "dense"):
        found = getattr(linear_then_topk(x, weight, None, 3), part)
        wanted = getattr(encoded_dense(x, weight, none, 3, is_positive=False), part)
        ways = [torch.autograd.grad(y.square().sum(), (x, weight)) for y in (found, wanted)]
        compare(ways[0], ways[1], torch.float64)


def test_a_frozen_weight_costs_nothing_and_gets_nothing() -> None:
    weight, _, _ = weights(WIDTH, OUT, torch.float32)
    x = drawn("plain", torch.float32).requires_grad_()
    topk_then_linear(x, 4, weight.detach()).sum().backward()
    assert x.grad is not None
    topk_then_linear(x.detach(), 4, weight).sum().backward()
    assert weight.grad is not None


def test_what_does_not_fit_is_refused() -> None:
    weight, bias, _ = weights(OUT, WIDTH, torch.float32)
    with pytest.raises(ShapeError, match=f"k = {OUT + 1} of {OUT}"):
        linear_then_topk(torch.zeros(2, WIDTH), weight, bias, OUT + 1)
    with pytest.raises(ShapeError, match="k = 0"):
        topk_then_linear(torch.zeros(2, OUT), 0, weight)
    with pytest.raises(ShapeError, match=f"for {WIDTH} inputs"):
        linear_then_topk(torch.zeros(2, 3), weight, bias, 2)
    with pytest.raises(ShapeError, match=f"for {OUT} inputs"):
        topk_then_linear(torch.zeros(2, 3), 2, weight)


def test_single_rows_read_their_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    plain = products.sparse_linear

    def spy(values: Tensor, indices: Tensor, stored: products.InputMajor) -> Tensor:
        calls.append(values.shape[-1])
        return plain(values, indices, stored)

    monkeypatch.setattr(module, "sparse_linear", spy)
    weight, _, _ = weights(WIDTH, OUT, torch.float32)
    topk_then_linear(drawn("one row", torch.float32), 4, weight)
    assert calls == [4]
