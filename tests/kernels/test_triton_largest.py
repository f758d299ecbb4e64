"""Triton's top-k and sparse product give what the definition gives, in Triton's interpreter."""

import pytest
import torch
from torch import Tensor

from sparsepath.errors import ShapeError
from sparsepath.kernels import largest as dispatch
from sparsepath.kernels import reference

pytest.importorskip("triton")

from sparsepath.kernels.triton import largest as kernels

ROWS: dict[str, Tensor] = {
    "normal": torch.randn(5, 100, generator=torch.Generator().manual_seed(0)),
    "one entry": torch.tensor([[3.0], [-1.0]]),
    "ties": torch.tensor([[1.0, 2.0, 2.0, 2.0, 0.0, -0.0, 0.0, 2.0]]),
    "all equal": torch.full((2, 33), -1.5),
    "zeros of both signs": torch.tensor([[-0.0, 0.0, -0.0, 0.0, -1.0]]),
    "below zero": -torch.rand(3, 17, generator=torch.Generator().manual_seed(1)) - 0.1,
    "infinities": torch.tensor([[float("inf"), 1.0, -float("inf"), float("inf"), 2.0]]),
    "numbers that are none": torch.tensor([[1.0, float("nan"), 3.0, float("nan"), 2.0]]),
    "tiny": torch.tensor([[1e-45, 0.0, -1e-45, 2e-45]]),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ROWS)
def test_the_largest_are_those_of_the_definition(name: str, dtype: torch.dtype) -> None:
    x = ROWS[name].to(dtype)
    width = x.shape[1]
    for k in {1, 2, width // 2, width - 1, width} & set(range(1, width + 1)):
        values, indices = reference.largest(x, k)
        found = kernels.largest(x, k)
        assert torch.equal(found.indices.long(), indices), (k, found, indices)
        torch.testing.assert_close(found.values, values, rtol=0, atol=0, equal_nan=True)


def test_others_are_zero_and_pass_no_gradient() -> None:
    x = torch.randn(4, 50, generator=torch.Generator().manual_seed(2), requires_grad=True)
    grad = torch.randn(4, 50, generator=torch.Generator().manual_seed(3))
    y = kernels.topk(x, 7)
    y.backward(grad)
    (found,) = (x.grad,)
    z = x.detach().clone().requires_grad_(True)
    expected = dispatch.topk(z, 7)
    expected.backward(grad)
    assert torch.equal(y, expected)
    assert z.grad is not None
    assert torch.equal(found, z.grad)
    strided = torch.randn(50, 4, generator=torch.Generator().manual_seed(2)).T
    assert torch.equal(kernels.topk(strided, 7), dispatch.topk(strided, 7))
    assert kernels.topk(torch.zeros(0, 5), 2).shape == (0, 5)


@pytest.mark.parametrize("n_outputs", [1, 100, 300])
def test_products_are_those_of_the_whole_rows(n_outputs: int) -> None:
    generator = torch.Generator().manual_seed(4)
    x, weight = (
        torch.randn(3, 40, generator=generator),
        torch.randn(40, n_outputs, generator=generator),
    )
    kept = kernels.largest(x, 9)
    expected = dispatch.topk(x, 9) @ weight
    torch.testing.assert_close(kernels.sparse_linear(kept, weight), expected)
    across = weight.T.contiguous().T
    torch.testing.assert_close(kernels.sparse_linear(kept, across), expected)
    half = kernels.sparse_linear(kept, weight.bfloat16())
    torch.testing.assert_close(half.float(), expected, rtol=0.02, atol=0.05)


def test_they_are_taken_where_triton_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 3, 30, generator=torch.Generator().manual_seed(5), requires_grad=True)
    expected, plain = dispatch.largest(x, 4), dispatch.topk(x, 4)
    asked = []
    for name in ("largest", "topk"):
        function = getattr(kernels, name)
        monkeypatch.setattr(kernels, name, lambda x, k, f=function: asked.append(k) or f(x, k))
    monkeypatch.setattr(dispatch, "TRITON_DEVICES", {"cpu"})
    found, kept = dispatch.largest(x, 4), dispatch.topk(x, 4)
    assert asked == [4, 4]
    assert torch.equal(found.indices, expected.indices)
    assert torch.equal(found.values, expected.values)
    assert torch.equal(kept, plain)
    kept.sum().backward()
    assert x.grad is not None
    assert int(x.grad.sum()) == 24
    with pytest.raises(ShapeError, match="k = 31 of 30"):
        dispatch.topk(x, 31)
    too_long = torch.zeros(1, kernels.MAX_ROW + 1)
    assert dispatch.largest(too_long, 1).indices.tolist() == [[0]]
    assert asked == [4, 4]


def test_what_a_kernel_cannot_do_is_said() -> None:
    for k in (0, 6):
        with pytest.raises(ShapeError, match=rf"k = {k} of rows \(2, 5\)"):
            kernels.topk(torch.zeros(2, 5), k)
    with pytest.raises(ShapeError, match="rows of 20000 entries"):
        kernels.largest(torch.zeros(1, 20_000), 3)
    kept = kernels.largest(torch.zeros(1, 5), 2)
    with pytest.raises(ShapeError, match="give one index"):
        kernels.sparse_linear(kept._replace(values=kept.values[:, :1]), torch.zeros(5, 3))
