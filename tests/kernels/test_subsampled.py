"""Attention over subsampled sources gives what the definition gives, gradients too."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from sparsepath.errors import ShapeError
from sparsepath.kernels import reference
from sparsepath.kernels.subsampled import attend_in_windows, attend_to_sources, attend_to_strata


class Shape(NamedTuple):
    """Sizes of one case; a set of sources per example, per key head, or one for all."""

    n: int
    n_kept: int
    n_examples: int = 2
    n_heads: int = 4
    n_kv_heads: int = 2
    sets: tuple[int, int] = (1, 1)


SHAPES = [
    Shape(1, 1),
    Shape(2, 1),
    Shape(7, 3, n_kv_heads=4),
    Shape(37, 9, sets=(2, 2)),
    Shape(64, 16, sets=(2, 1)),
    Shape(150, 1, n_examples=1),
    Shape(333, 83, sets=(2, 2)),
    Shape(600, 75, n_examples=1, n_heads=2, n_kv_heads=1, sets=(1, 1)),
]


def projections(shape: Shape, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Make query, key, value and a gradient, not contiguous, as attention layers make them."""
    generator = torch.Generator().manual_seed(shape.n)
    found = []
    for heads in (shape.n_heads, shape.n_kv_heads, shape.n_kv_heads, shape.n_heads):
        size = (shape.n_examples, shape.n, heads, 8)
        found.append(torch.randn(size, generator=generator, dtype=dtype).transpose(1, 2))
    return found


def drawn(shape: Shape, n_gaps: int = 0) -> Tensor:
    """Draw sorted positions; the last `n_gaps` of the first set stand for none."""
    generator = torch.Generator().manual_seed(shape.n_kept)
    order = torch.rand(*shape.sets, shape.n, generator=generator).argsort(dim=-1)
    positions = order[..., : shape.n_kept].sort(dim=-1).values
    if n_gaps:
        positions[0, 0, -n_gaps:] = shape.n
    return positions


def per_head(visible: Tensor, shape: Shape) -> Tensor:
    """Repeat what key heads see for the query heads that share them."""
    if visible.shape[1] == 1:
        return visible
    return visible.repeat_interleave(shape.n_heads // shape.n_kv_heads, dim=1)


def agree(fast: Callable[[Tensor, Tensor, Tensor], Tensor], shape: Shape, visible: Tensor) -> None:
    """Compare value and every gradient with the definition, in float64."""
    *given, grad = projections(shape)
    ours = [x.clone().requires_grad_() for x in given]
    theirs = [x.clone().requires_grad_() for x in given]
    output = fast(*ours)
    expected = reference.attend(*theirs, per_head(visible, shape))
    torch.testing.assert_close(output, expected)
    found = torch.autograd.grad(output, ours, grad)
    wanted = torch.autograd.grad(expected, theirs, grad)
    for ours_grad, their_grad in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours_grad, their_grad)


@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize("n_gaps", [0, 1])
@pytest.mark.parametrize("shape", SHAPES)
def test_kept_sources_give_the_definition(shape: Shape, n_gaps: int, is_causal: bool) -> None:
    positions = drawn(shape, n_gaps)
    visible = reference.visible_sources(positions, shape.n, is_causal=is_causal)
    agree(
        lambda q, k, v: attend_to_sources(q, k, v, positions, is_causal=is_causal), shape, visible
    )


@pytest.mark.parametrize("stratum", [1, 2, 4, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_strata_give_the_definition(shape: Shape, stratum: int) -> None:
    generator = torch.Generator().manual_seed(stratum)
    n_strata = -(-shape.n // stratum)
    back = torch.randint(stratum, (*shape.sets, n_strata), generator=generator)
    positions = (torch.arange(n_strata) * stratum - back).clamp(min=0)
    visible = reference.visible_in_strata(positions, stratum, shape.n)
    agree(lambda q, k, v: attend_to_strata(q, k, v, positions, stratum=stratum), shape, visible)


@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize("window", [1, 5, 64])
@pytest.mark.parametrize("n_gaps", [0, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_windows_give_the_definition(
    shape: Shape, window: int, n_gaps: int, is_causal: bool
) -> None:
    generator = torch.Generator().manual_seed(window)
    order = torch.rand(*shape.sets, shape.n, generator=generator).argsort(dim=-1)
    order[0, 0][order[0, 0] >= shape.n - n_gaps] = shape.n
    visible = reference.visible_in_windows(order, window, is_causal=is_causal)
    agree(
        lambda q, k, v: attend_in_windows(q, k, v, order, window=window, is_causal=is_causal),
        shape,
        visible,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_lower_precision_stays_close_to_the_definition(dtype: torch.dtype) -> None:
    shape = Shape(333, 83, sets=(2, 2))
    positions = drawn(shape)
    visible = per_head(reference.visible_sources(positions, shape.n, is_causal=True), shape)
    exact = [x.requires_grad_() for x in projections(shape)[:3]]
    rounded = [x.detach().to(dtype).requires_grad_() for x in exact]
    grad = projections(shape)[3]
    tolerance = 1e-5 if dtype is torch.float32 else 5e-2
    expected = reference.attend(*exact, visible)
    output = attend_to_sources(*rounded, positions, is_causal=True)
    assert output.dtype is dtype
    torch.testing.assert_close(output.double(), expected, atol=tolerance, rtol=tolerance)
    wanted = torch.autograd.grad(expected, exact, grad)
    found = torch.autograd.grad(output, rounded, grad.to(dtype))
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours.double(), theirs, atol=tolerance, rtol=tolerance)


def test_nothing_kept_leaves_a_causal_target_itself_and_the_others_zeros() -> None:
    shape = Shape(5, 0, n_heads=2, n_kv_heads=2)
    query, key, value, _ = projections(shape)
    nothing = torch.empty(1, 1, 0, dtype=torch.long)
    alone = attend_to_sources(query, key, value, nothing, is_causal=True)
    torch.testing.assert_close(alone, value)
    assert not attend_to_sources(query, key, value, nothing, is_causal=False).any()


def test_heads_and_sets_that_do_not_fit_are_refused() -> None:
    query, key, value, _ = projections(Shape(6, 2, n_heads=4, n_kv_heads=4))
    positions = torch.tensor([[[1, 3]]])
    with pytest.raises(ShapeError, match="4 query heads cannot share 3 key heads"):
        attend_to_sources(query, key[:, :3], value[:, :3], positions, is_causal=True)
    with pytest.raises(ShapeError, match=r"positions for \(2, 3\)"):
        attend_to_sources(query, key, value, positions.expand(2, 3, 2), is_causal=True)
    with pytest.raises(ShapeError, match="2 positions for 3 strata of 2 in 6"):
        attend_to_strata(query, key, value, positions, stratum=2)
