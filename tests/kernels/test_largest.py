"""The largest entries are the definition's, to the bit, for every instruction set."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

import sparsepath.kernels
from sparsepath.errors import ShapeError
from sparsepath.kernels import largest as module
from sparsepath.kernels import reference
from sparsepath.kernels.largest import largest, topk
from sparsepath.kernels.native import Level, best_level

WIDTHS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 255, 257, 1000, 1024, 4100]
KINDS = ["normal", "rounded", "equal", "relu", "nan", "infinite", "heavy", "zeros", "shifted"]


def made(kind: str, width: int, rows: int = 3) -> Tensor:
    """Make rows that are easy or hostile."""
    chance = np.random.default_rng(width)
    x = chance.standard_normal((rows, width)).astype(np.float32)
    if kind == "rounded":
        x = np.round(x)
    elif kind == "equal":
        x[:] = 0.5
    elif kind == "relu":
        x = np.maximum(x, 0)
    elif kind == "nan":
        x[chance.random(x.shape) < 0.1] = np.nan
    elif kind == "infinite":
        x[chance.random(x.shape) < 0.05] = np.inf
        x[chance.random(x.shape) < 0.05] = -np.inf
    elif kind == "heavy":
        x = (chance.standard_t(1.1, x.shape) * 1e6).astype(np.float32)
    elif kind == "zeros":
        x = np.where(chance.random(x.shape) < 0.5, 0.0, -0.0).astype(np.float32)
        x[:, ::5] = 1e-42
    elif kind == "shifted":
        x += 1e6
    return torch.from_numpy(x)


def levels() -> list[Level]:
    """Instruction sets that this processor has."""
    best = best_level()
    return [] if best is None else [level for level in Level if level <= best]


def same(found: module.Kept, x: Tensor, k: int) -> None:
    """Compare with the definition; NaN equals NaN."""
    values, indices = reference.largest(x, k)
    assert torch.equal(found.indices, indices)
    np.testing.assert_array_equal(found.values.numpy(), values.numpy())


def test_the_library_was_built() -> None:
    # The development environment has a compiler.
    assert levels()[0] == Level.PLAIN


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_instruction_set_gives_the_definition(kind: str, width: int) -> None:
    x = made(kind, width)
    for k in sorted({1, max(1, width // 16), max(1, width // 3), width}):
        for level in levels():
            same(largest(x, k, level=level), x, k)


@given(
    arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 90)),
           elements=st.floats(width=32, allow_nan=True)),
    st.data(),
)  # fmt: skip
def test_any_rows_give_the_definition(rows: np.ndarray, data: st.DataObject) -> None:
    x = torch.from_numpy(rows)
    k = data.draw(st.integers(1, x.shape[1]))
    for level in levels():
        same(largest(x, k, level=level), x, k)


@pytest.mark.parametrize("width", [64, 1024, 4100])
def test_rows_of_all_kinds_in_any_order_give_the_definition(width: int) -> None:
    """A row's guess comes from the rows before it, which may be nothing like it."""
    chance = np.random.default_rng(7)
    parts = [made(kind, width, rows=24) for kind in KINDS]
    parts += [made("normal", width, rows=24) * scale for scale in (1e-3, 1e3, 1e-30)]
    nearly = made("normal", width, rows=24)
    nearly[::3, 5:9] = torch.nan  # few enough to be candidates of a guess that fits
    nearly[1::3, 7] = torch.inf
    together = torch.cat([*parts, nearly])
    shuffled = together[torch.from_numpy(chance.permutation(len(together)))]
    for x in (torch.cat([nearly[1:2], nearly]), shuffled):
        for k in (1, width // 16, width // 3):
            for level in levels():
                same(largest(x, k, level=level), x, k)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_numbers_have_the_same_order(dtype: torch.dtype) -> None:
    x = made("normal", 300).to(dtype)
    values, indices = reference.largest(x, 40)
    found = largest(x, 40)
    assert torch.equal(found.indices, indices)
    assert torch.equal(found.values, values)
    assert found.values.dtype == dtype


def test_without_the_library_the_result_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x = made("rounded", 257)
    with_it = largest(x, 31)
    monkeypatch.setattr(module, "library", lambda: None)
    without = largest(x, 31)
    assert torch.equal(with_it.indices, without.indices)
    assert torch.equal(with_it.values, without.values)


def test_rows_that_lie_apart_and_shapes_of_any_depth() -> None:
    wide = made("normal", 64, rows=30)
    apart = wide[:, ::2].unflatten(0, (5, 6))
    same(largest(apart, 5), apart, 5)
    part = wide.view(5, 6, 64)[:, 1:3, 8:40]
    same(largest(part, 7), part, 7)
    assert largest(torch.empty(0, 9), 3).values.shape == (0, 3)


def test_many_threads_give_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    x = made("normal", 128, rows=97)
    monkeypatch.setattr(module, "LEAST_ENTRIES", 1000)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    same(largest(x, 16), x, 16)


def test_the_gradient_passes_through_what_is_kept() -> None:
    x = made("normal", 50).double().requires_grad_()
    y = topk(x, 7)
    assert ((y != 0).sum(dim=-1) == 7).all()
    assert torch.autograd.gradcheck(lambda v: topk(v, 7), (x,))
    grad = torch.randn_like(y)
    (found,) = torch.autograd.grad(y, x, grad)
    assert torch.equal(found, grad * (y != 0))


def test_a_kept_zero_keeps_its_gradient() -> None:
    # The indices decide, not whether the kept entry happens to be zero.
    x = torch.tensor([[0.0, -1.0, -2.0]], requires_grad=True)
    (found,) = torch.autograd.grad(topk(x, 2).sum(), x)
    assert found.tolist() == [[1.0, 1.0, 0.0]]


def test_the_public_name() -> None:
    x = made("normal", 20)
    assert torch.equal(sparsepath.kernels.topk(x, 20), x)
    with pytest.raises(AttributeError):
        sparsepath.kernels.nothing  # noqa: B018


@pytest.mark.parametrize("k", [0, -1, 21])
def test_k_out_of_range_is_refused(k: int) -> None:
    with pytest.raises(ShapeError, match=f"k = {k} of 20"):
        topk(made("normal", 20), k)


def test_what_has_no_rows_of_numbers_is_refused() -> None:
    with pytest.raises(ShapeError, match="sparse_coo"):
        topk(torch.ones(2, 8).to_sparse(), 2)
    with pytest.raises(ShapeError, match=r"shape \(3, 0\)"):
        topk(torch.ones(3, 0), 1)


def test_what_types_do_not_allow_is_refused_where_nobody_checks_types() -> None:
    script = """
import torch
from sparsepath.errors import ShapeError
from sparsepath.kernels import topk
for x, k in ((torch.ones(2, 8), 2.5), (torch.ones(2, 8), None), (torch.arange(8), 2), ([1.0], 1)):
    try:
        topk(x, k)
    except ShapeError as err:
        assert err.hint
        continue
    raise SystemExit(f"{x}, {k} went through")
"""
    subprocess.run([sys.executable, "-c", script], check=True)
