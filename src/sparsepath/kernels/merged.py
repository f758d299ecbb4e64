"""Exact attention over sources in several pieces, each by PyTorch's fused CPU kernel.

A fused kernel returns, beside its output, the logarithm of the sum of exponentials of each target's
scores. Outputs of disjoint sets of sources are joined by those numbers into the output over all of
them; and given the joined output and sum, the kernel's own backward pass yields for each piece
exactly the gradients of the whole. So a causal mask needs to exist only for the small pieces on the
diagonal, and a target's own source, which subsampling may have left out, is a piece of one.

Shape letters: B examples, H query heads, K key and value heads, G query heads that share one of
them, N targets, M sources, D width of a head.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_FORWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


class Piece(NamedTuple):
    """Some targets looking at some sources."""

    targets: slice
    """Which targets."""
    sources: slice
    """Which sources; at least one."""
    mask: Float[Tensor, "#batch #heads some_targets some_sources"] | None
    """Added to the scores; `hidden` where a target does not see a source. None: it sees all."""
    is_causal: bool = False
    """Whether target number i sees the sources up to number i only; without a mask."""


class Own(NamedTuple):
    """Every target's own source."""

    key: Float[Tensor, "batch kv_heads targets width"]
    """Its key."""
    value: Float[Tensor, "batch kv_heads targets width"]
    """Its value."""
    is_added: Bool[Tensor, "#batch #heads targets"]
    """Where it is not among the pieces and has to be added."""


def hidden(dtype: torch.dtype) -> float:
    """Give the number that hides a source: far below any score, but finite in that type."""
    return torch.finfo(dtype).min / 2


def attend_in_pieces(
    query: Float[Tensor, "batch heads targets width"],
    key: Float[Tensor, "batch kv_heads sources width"],
    value: Float[Tensor, "batch kv_heads sources width"],
    pieces: Sequence[Piece],
    own: Own | None,
    *,
    scale: float,
) -> Float[Tensor, "batch heads targets width"]:
    """Attend to the sources of all pieces of a target and, where asked for, to its own.

    Differentiable once. A target must see a source in some piece or its own: a fully hidden
    piece counts nothing beside another one.

    Args:
        query: of the targets, on the CPU.
        key: of the sources.
        value: of the sources.
        pieces: what to look at; no pair of target and source twice.
        own: the targets' own sources, if they are to be seen.
        scale: factor of the dot products.
    """
    own_tensors = (None, None, None) if own is None else tuple(own)
    found: Tensor = _MergedAttention.apply(query, key, value, *own_tensors, list(pieces), scale)
    return found


class _MergedAttention(torch.autograd.Function):
    """The pieces joined; backward hands each piece the joined output and sum."""

    @staticmethod
    def forward(  # noqa: PLR0913 - autograd's calling convention
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        own_key: Tensor | None,
        own_value: Tensor | None,
        is_added: Tensor | None,
        pieces: list[Piece],
        scale: float,
    ) -> Tensor:
        """Run every piece and join it to what was there."""
        # Joining in half precision would lose digits at each piece.
        exact = torch.promote_types(query.dtype, torch.float32)
        output_BHND = torch.zeros(query.shape, dtype=exact)
        total_BHN = torch.full(query.shape[:-1], -torch.inf, dtype=exact)
        for piece in pieces:
            rows, columns = piece.targets, piece.sources
            part_BHND, sum_BHN = _FORWARD(
                query[:, :, rows],
                key[:, :, columns],
                value[:, :, columns],
                0.0,
                piece.is_causal,
                attn_mask=piece.mask,
                scale=scale,
            )
            _join(output_BHND[:, :, rows], total_BHN[:, :, rows], part_BHND, sum_BHN)
        if own_key is not None and own_value is not None and is_added is not None:
            score_BHN = _own_scores(query, own_key, is_added, scale)
            _join(output_BHND, total_BHN, _per_head(own_value, query), score_BHN)
        output = output_BHND.to(query.dtype)
        ctx.save_for_backward(
            query, key, value, own_key, own_value, is_added, output, total_BHN, *_masks(pieces)
        )
        ctx.pieces = [p._replace(mask=None) for p in pieces]
        ctx.has_mask = [p.mask is not None for p in pieces]
        ctx.scale = scale
        return output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Give each piece its gradients, and the own sources theirs."""
        (grad,) = grads
        query, key, value, own_key, own_value, is_added, output, total, *masks = ctx.saved_tensors
        given = iter(masks)
        grad_query, grad_key, grad_value = (torch.zeros_like(x) for x in (query, key, value))
        for piece, has_mask in zip(ctx.pieces, ctx.has_mask, strict=True):
            rows, columns = piece.targets, piece.sources
            of_query, of_key, of_value = _BACKWARD(
                grad[:, :, rows],
                query[:, :, rows],
                key[:, :, columns],
                value[:, :, columns],
                output[:, :, rows],
                total[:, :, rows],
                0.0,
                piece.is_causal,
                attn_mask=next(given) if has_mask else None,
                scale=ctx.scale,
            )
            grad_query[:, :, rows] += of_query
            grad_key[:, :, columns] += of_key
            grad_value[:, :, columns] += of_value
        if own_key is None:
            return grad_query, grad_key, grad_value, None, None, None, None, None
        weight_BHN = (_own_scores(query, own_key, is_added, ctx.scale) - total).exp()
        difference_BHND = _per_head(own_value, query) - output
        change_BHN = weight_BHN * (grad * difference_BHND).sum(dim=-1) * ctx.scale
        grad_query += change_BHN.unsqueeze(-1) * _per_head(own_key, query)
        of_own_key = _per_kv_head(change_BHN.unsqueeze(-1) * query, own_key)
        of_own_value = _per_kv_head(weight_BHN.unsqueeze(-1) * grad, own_value)
        return grad_query, grad_key, grad_value, of_own_key, of_own_value, None, None, None


def _join(output: Tensor, total: Tensor, part: Tensor, part_sum: Tensor) -> None:
    """Join a part's output and sum to what is there, in place."""
    joined_BHN = torch.logaddexp(total, part_sum.to(total.dtype))
    # A target that sees nothing at all stays at zero instead of becoming NaN.
    base_BHN = joined_BHN.masked_fill(joined_BHN == -torch.inf, 0.0)
    output.mul_((total - base_BHN).exp_().unsqueeze(-1))
    output.add_(part * (part_sum - base_BHN).exp().unsqueeze(-1))
    total.copy_(joined_BHN)


def _own_scores(query: Tensor, own_key: Tensor, is_added: Tensor, scale: float) -> Tensor:
    """Score each target's own source; minus infinity where it is not added."""
    exact = torch.promote_types(query.dtype, torch.float32)
    product_BHND = query.to(exact) * _per_head(own_key, query)
    return (product_BHND.sum(dim=-1) * scale).masked_fill(~is_added, -torch.inf)


def _per_head(values: Tensor, query: Tensor) -> Tensor:
    """Give every query head its key or value head."""
    n_shared = query.shape[1] // values.shape[1]
    return values if n_shared == 1 else values.repeat_interleave(n_shared, dim=1)


def _per_kv_head(values: Tensor, like: Tensor) -> Tensor:
    """Add up what query heads say about the head that they share."""
    n_kv_heads = like.shape[1]
    added: Tensor = values.unflatten(1, (n_kv_heads, -1)).sum(dim=2)
    return added.to(like.dtype)


def _masks(pieces: Sequence[Piece]) -> list[Tensor]:
    """Give the masks of the pieces that have one."""
    return [piece.mask for piece in pieces if piece.mask is not None]
