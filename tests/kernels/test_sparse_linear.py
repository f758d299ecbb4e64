"""Products that read only some rows give the dense product, in every format."""

import pytest
import torch
from torch import Tensor

from sparsepath.errors import ShapeError
from sparsepath.kernels import reference
from sparsepath.kernels import sparse_linear as module
from sparsepath.kernels.by_input import Form
from sparsepath.kernels.largest import largest
from sparsepath.kernels.native import Level, best_level
from sparsepath.kernels.sparse_linear import InputMajor, sparse_linear, store

FORMATS: tuple[Form, ...] = ("fp32", "bf16", "int8", "int4")


def made(n_in: int, n_out: int, rows: int, k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Make a matrix, a bias and the largest entries of some rows."""
    generator = torch.Generator().manual_seed(n_in + n_out)
    weight = torch.randn(n_in, n_out, generator=generator)
    bias = torch.randn(n_out, generator=generator)
    kept = largest(torch.randn(rows, n_in, generator=generator), k)
    return weight, bias, kept.values, kept.indices


@pytest.fixture(params=["library", "plain C", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Level | None:
    """Who computes."""
    if request.param == "torch":
        monkeypatch.setattr(module, "library", lambda: None)
    return Level.PLAIN if request.param == "plain C" else best_level()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("n_in", "n_out", "rows", "k"),
    [
        (1, 1, 1, 1),
        (5, 3, 2, 2),
        (40, 33, 3, 7),
        (64, 64, 1, 16),
        (100, 160, 4, 13),
        (300, 7, 2, 5),
    ],
)
def test_every_format_gives_the_product_of_its_own_weights(
    form: Form, n_in: int, n_out: int, rows: int, k: int, way: Level | None
) -> None:
    weight, bias, values, indices = made(n_in, n_out, rows, k)
    stored = store(weight, form)
    assert stored.dense().shape == weight.shape
    most = 5e-4 if form == "int8" else 1e-4  # see `test_whole.py`
    for added in (bias, None):
        found = sparse_linear(values, indices, stored, added, level=way)
        wanted = reference.sparse_linear(values, indices, stored.dense(), added)
        torch.testing.assert_close(found, wanted, atol=most, rtol=1e-3)


@pytest.mark.parametrize(
    ("form", "most"), [("fp32", 0.0), ("bf16", 0.004), ("int8", 0.005), ("int4", 0.2)]
)
def test_rounding_loses_what_the_format_loses(form: Form, most: float) -> None:
    weight = torch.randn(50, 70, generator=torch.Generator().manual_seed(0))
    change = (store(weight, form).dense() - weight).abs() / weight.abs().amax(dim=1, keepdim=True)
    assert float(change.max()) <= most


def test_integers_take_an_eighth_to_a_quarter_of_the_bytes() -> None:
    weight = torch.randn(64, 128)
    sizes = [store(weight, form).n_bytes for form in FORMATS]
    assert sizes[0] == 4 * 64 * 128
    assert sizes[1] == sizes[0] // 2
    assert sizes[2] == sizes[0] // 4 + 64 * 4
    assert sizes[3] == sizes[0] // 8 + 64 * 128 // 32 * 2


def test_an_input_of_zeros_stays_zero() -> None:
    weight = torch.randn(4, 40)
    weight[2] = 0
    for form in FORMATS:
        assert float(store(weight, form).dense()[2].abs().max()) == 0.0


def test_many_rows_or_many_entries_go_the_dense_way(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, bias, values, indices = made(60, 20, 40, 9)
    stored = store(weight, "fp32")
    calls: list[bool] = []
    plain = module._by_torch

    def spy(v: Tensor, i: Tensor, w: InputMajor, *, is_dense: bool) -> Tensor:
        calls.append(is_dense)
        return plain(v, i, w, is_dense=is_dense)

    monkeypatch.setattr(module, "_by_torch", spy)
    wanted = reference.sparse_linear(values, indices, weight, bias)
    torch.testing.assert_close(sparse_linear(values, indices, stored, bias), wanted)
    sparse_linear(values[:2], indices[:2], stored)
    full = largest(torch.randn(1, 60), 60)
    sparse_linear(full.values, full.indices, stored)
    assert calls == [True, True]


def test_what_does_not_fit_is_refused_before_any_memory_is_read() -> None:
    weight = store(torch.randn(10, 4), "int8")
    one = torch.ones(1, 1)
    for place in (-1, 10, 1 << 40):
        with pytest.raises(ShapeError, match="for 10 inputs"):
            sparse_linear(one, torch.tensor([[place]]), weight)
    with pytest.raises(ShapeError, match="bias"):
        sparse_linear(one, torch.tensor([[0]]), weight, torch.ones(5))
    with pytest.raises(ShapeError, match="indices"):
        sparse_linear(one, torch.tensor([[0, 1]]), weight)
