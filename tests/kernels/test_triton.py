"""Triton's kernels give what the definition gives; here in Triton's interpreter, on a CPU."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from sparsepath.errors import ShapeError
from sparsepath.kernels import merged, reference, subsampled

pytest.importorskip("triton")

from sparsepath.kernels.triton import causal

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


class Case(NamedTuple):
    """Sizes, and how many sets of sources there are."""

    n: int
    n_kept: int
    n_heads: int = 2
    n_kv_heads: int = 2
    width: int = 16
    sets: tuple[int, int] = (1, 1)


CASES = [
    Case(1, 1),
    Case(2, 1, n_heads=1, n_kv_heads=1),
    Case(40, 9, n_heads=4),
    Case(65, 64, width=8),
    Case(70, 70, sets=(2, 2)),
    Case(130, 33, width=24, sets=(2, 1)),
    Case(97, 1, n_kv_heads=1),
]


@pytest.fixture(autouse=True)
def _triton_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subsampled, "TRITON_DEVICES", {"cpu"})


def projections(case: Case, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Make query, key, value and a gradient, not contiguous."""
    generator = torch.Generator().manual_seed(case.n)
    heads = (case.n_heads, case.n_kv_heads, case.n_kv_heads, case.n_heads)
    sizes = [(2, case.n, number, case.width) for number in heads]
    return [torch.randn(s, generator=generator).to(dtype).transpose(1, 2) for s in sizes]


def drawn(case: Case, n_none: int = 0) -> Tensor:
    """Draw ascending positions; the last ones of the first set stand for none."""
    generator = torch.Generator().manual_seed(case.n_kept)
    order = torch.rand(*case.sets, case.n, generator=generator).argsort(dim=-1)
    positions = order[..., : case.n_kept].sort(dim=-1).values
    if n_none:
        positions[0, 0, -n_none:] = case.n
    return positions


def agree(attend: Attend, case: Case, visible: Tensor, *, dtype: torch.dtype, most: float) -> None:
    """Compare value and gradients with the definition in float64."""
    *given, grad = projections(case, dtype)
    ours = [x.clone().requires_grad_() for x in given]
    theirs = [x.double().requires_grad_() for x in given]
    if visible.shape[1] > 1:
        visible = visible.repeat_interleave(case.n_heads // case.n_kv_heads, dim=1)
    output, wanted = attend(*ours), reference.attend(*theirs, visible)
    torch.testing.assert_close(output.double(), wanted, atol=most, rtol=most)
    found = torch.autograd.grad(output, ours, grad)
    for mine, right in zip(found, torch.autograd.grad(wanted, theirs, grad.double()), strict=True):
        torch.testing.assert_close(mine.double(), right, atol=3 * most, rtol=3 * most)


@pytest.mark.parametrize("n_none", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_kept_sources(case: Case, n_none: int) -> None:
    positions = drawn(case, n_none)
    visible = reference.visible_sources(positions, case.n, is_causal=True)
    agree(
        lambda q, k, v: subsampled.attend_to_sources(q, k, v, positions, is_causal=True),
        case,
        visible,
        dtype=torch.float32,
        most=1e-5,
    )


def test_half_precision_loses_only_its_own_digits() -> None:
    case = Case(90, 30, n_heads=4)
    positions = drawn(case)
    visible = reference.visible_sources(positions, case.n, is_causal=True)
    agree(
        lambda q, k, v: subsampled.attend_to_sources(q, k, v, positions, is_causal=True),
        case,
        visible,
        dtype=torch.float16,  # the interpreter has no bfloat16
        most=4e-3,
    )


@pytest.mark.parametrize("stratum", [1, 4, 7])
def test_strata(stratum: int) -> None:
    case = Case(50, 0, n_heads=4, sets=(2, 2))
    ends = torch.arange(0, case.n + stratum - 1, stratum)[: -(-case.n // stratum)]
    generator = torch.Generator().manual_seed(0)
    shift = torch.randint(stratum, (2, 2, len(ends)), generator=generator)
    positions = (ends - shift).clamp(min=0)
    visible = reference.visible_in_strata(positions, stratum, case.n)
    agree(
        lambda q, k, v: subsampled.attend_to_strata(q, k, v, positions, stratum=stratum),
        case,
        visible,
        dtype=torch.float32,
        most=1e-5,
    )


@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize(("n", "window"), [(1, 4), (48, 16), (50, 16), (33, 40)])
def test_windows(n: int, window: int, is_causal: bool) -> None:
    case = Case(n, n, n_heads=4, sets=(2, 2))
    order = torch.rand(2, 2, n, generator=torch.Generator().manual_seed(n)).argsort(dim=-1)
    visible = reference.visible_in_windows(order, window, is_causal=is_causal)
    agree(
        lambda q, k, v: subsampled.attend_in_windows(
            q, k, v, order, window=window, is_causal=is_causal
        ),
        case,
        visible,
        dtype=torch.float32,
        most=1e-5,
    )


def test_no_source_at_all_leaves_each_target_its_own() -> None:
    case = Case(20, 0)
    query, key, value, _ = projections(case)
    positions = torch.empty(1, 1, 0, dtype=torch.int64)
    output = subsampled.attend_to_sources(query, key, value, positions, is_causal=True)
    torch.testing.assert_close(output, value)


def test_wide_heads_are_refused() -> None:
    wide = torch.zeros(1, 1, 4, causal.MAX_WIDTH + 1)
    own = merged.Own(wide, wide, torch.ones(1, 1, 4, dtype=torch.bool))
    sources = causal.Sources(wide, wide, torch.arange(4).view(1, 1, 4))
    with pytest.raises(ShapeError, match="width 257"):
        causal.attend_causally(wide, sources, own, scale=1.0)
