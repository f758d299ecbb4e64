"""Causal attention over few sources on a GPU, without any mask in memory.

The Triton twin of `merged.py`. Sources come in ascending order of their places, so a block of
targets looks at a prefix of them, and only inside it are places compared. A target's own source,
which subsampling may have left out, starts its running softmax. The backward pass computes weights
again from the sums that the forward pass kept (Dao 2023, arXiv 2307.08691, algorithms 1 and 2): one
kernel goes over targets, one over sources, and neither needs atomic additions, so that the same
input gives the same gradients.

Runs without a GPU in Triton's interpreter (TRITON_INTERPRET=1), which the tests use.

Shape letters: B examples, H query heads, K key and value heads, N targets, M sources, D width of a
head. In kernels T is a block of targets and S one of sources.

Read with: `reference.py` (what is right).
"""

from typing import Any, NamedTuple, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from sparsepath.errors import ShapeError
from sparsepath.kernels.merged import Own

MAX_WIDTH = 256
"""Widest head that fits into a program's registers."""

LOG2_E = tl.constexpr(1.4426950408889634)
"""GPUs have a fast power of two."""


class Sources(NamedTuple):
    """The sources that are kept, and where they stand."""

    key: Float[Tensor, "batch kv_heads sources width"]
    """Their keys."""
    value: Float[Tensor, "batch kv_heads sources width"]
    """Their values."""
    places: Int[Tensor, "sets set_heads sources"]
    """A target sees those whose place is at most its own number; ascending. One set for all
    examples or key heads where that axis is 1."""


def attend_causally(
    query: Float[Tensor, "batch heads targets width"],
    sources: Sources,
    own: Own,
    *,
    scale: float,
) -> Float[Tensor, "batch heads targets width"]:
    """Let each target attend to the sources at or before it, and to its own where that is added.

    Differentiable once in query, keys and values. Deterministic. Sums are in fp32.

    Args:
        query: of the targets.
        sources: what they look at; heads are shared in groups, first heads first.
        own: the targets' own sources. Each target must see a source, or its own.
        scale: factor of the dot products.

    Raises:
        ShapeError: if a head is wider than `MAX_WIDTH`.
    """
    if query.shape[-1] > MAX_WIDTH:
        raise ShapeError(
            f"heads of width {query.shape[-1]}", hint=f"use heads of width {MAX_WIDTH} at most"
        )
    if sources.key.shape[2] == 0:
        # Each target sees itself alone; the query keeps a gradient, which is zero.
        return own.value.repeat_interleave(query.shape[1] // own.value.shape[1], 1) + 0 * query
    found: Tensor = _CausalAttention.apply(
        query, sources.key, sources.value, own.key, own.value, sources.places, own.is_added, scale
    )
    return found


class _Sizes(NamedTuple):
    """Numbers that all kernels take."""

    n_targets: int
    n_sources: int
    n_heads: int
    n_shared: int
    """Query heads that share a key head."""
    n_own_shared: int
    """Query heads that share the key of a target's own source."""
    places_example: int
    """Distance of two examples in the places; 0 where they share a set."""
    places_head: int
    """Distance of two key heads in the places."""
    added_example: int
    """Distance of two examples in the flags of own sources."""
    added_head: int
    """Distance of two query heads in those flags."""


class _Blocks(NamedTuple):
    """Sizes that a kernel is compiled for."""

    targets: int
    sources: int
    width: int
    """Power of two that a head's width is filled up to."""
    exact: str
    """How fp32 numbers are multiplied."""


class _CausalAttention(torch.autograd.Function):
    """The kernels as one differentiable step."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        own_key: Tensor,
        own_value: Tensor,
        places: Tensor,
        is_added: Tensor,
        scale: float,
    ) -> Tensor:
        """Run the softmax over the sources, block by block."""
        tensors = [x.contiguous() for x in (query, key, value, own_key, own_value)]
        places, added = places.to(torch.int32).contiguous(), is_added.to(torch.int8).contiguous()
        sizes, blocks = _sizes(query, key, own_key, places, added), _blocks(query)
        n_seen = _n_seen(places, sizes.n_targets, blocks.targets)
        output = torch.empty_like(tensors[0])
        total = torch.empty(query.shape[:-1], dtype=torch.float32, device=query.device)
        grid = (triton.cdiv(sizes.n_targets, blocks.targets), query.shape[0] * query.shape[1])
        _forward[grid](
            *tensors, places, added, n_seen, output, total, scale, *sizes,
            D=query.shape[-1], T=blocks.targets, S=blocks.sources, W=blocks.width,
            EXACT=blocks.exact,
        )  # fmt: skip
        ctx.save_for_backward(*tensors, places, added, n_seen, output, total)
        ctx.sizes, ctx.blocks, ctx.scale = sizes, blocks, scale
        return output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Run over targets for queries and own sources, then over sources."""
        query, key, value, own_key, own_value, places, added, n_seen, output, total = (
            ctx.saved_tensors
        )
        sizes, blocks = ctx.sizes, ctx.blocks
        grad = grads[0].contiguous()
        delta = (grad.float() * output.float()).sum(dim=-1)
        of_query, of_own_key, of_own_value = (torch.empty_like(query) for _ in range(3))
        if sizes.n_own_shared > 1:
            # What heads say about a shared source is added up in fp32.
            of_own_key, of_own_value = of_own_key.float(), of_own_value.float()
        of_key, of_value = torch.empty_like(key), torch.empty_like(value)
        shapes = {"D": query.shape[-1], "T": blocks.targets, "S": blocks.sources}
        shapes |= {"W": blocks.width, "EXACT": blocks.exact}
        n_programs = query.shape[0] * query.shape[1]
        _backward_targets[(triton.cdiv(sizes.n_targets, blocks.targets), n_programs)](
            query, key, value, own_key, own_value, places, added, n_seen, grad, delta, total,
            of_query, of_own_key, of_own_value, ctx.scale, *sizes, **shapes,
        )  # fmt: skip
        n_programs = key.shape[0] * key.shape[1]
        _backward_sources[(triton.cdiv(sizes.n_sources, blocks.sources), n_programs)](
            query, key, value, places, grad, delta, total, of_key, of_value, ctx.scale, *sizes,
            **shapes,
        )  # fmt: skip
        of_own = (_per_own_head(x, own_key) for x in (of_own_key, of_own_value))
        return of_query, of_key, of_value, *of_own, None, None, None


def _sizes(query: Tensor, key: Tensor, own_key: Tensor, places: Tensor, added: Tensor) -> _Sizes:
    """Collect lengths and distances; heads that share a set have the distance 0."""
    n_heads = query.shape[1]
    return _Sizes(
        n_targets=query.shape[2],
        n_sources=key.shape[2],
        n_heads=n_heads,
        n_shared=n_heads // key.shape[1],
        n_own_shared=n_heads // own_key.shape[1],
        places_example=0 if places.shape[0] == 1 else places.shape[1] * places.shape[2],
        places_head=0 if places.shape[1] == 1 else places.shape[2],
        added_example=0 if added.shape[0] == 1 else added.shape[1] * added.shape[2],
        added_head=0 if added.shape[1] == 1 else added.shape[2],
    )


def _blocks(query: Tensor) -> _Blocks:
    """Choose block sizes: wide heads and fp32 need more room for each row."""
    width = max(16, triton.next_power_of_2(query.shape[-1]))
    is_small = width <= 64 or (width <= 128 and query.dtype != torch.float32)
    side = 64 if is_small else 32
    is_exact = query.dtype == torch.float32 and torch.get_float32_matmul_precision() == "highest"
    return _Blocks(targets=side, sources=side, width=width, exact="ieee" if is_exact else "tf32")


def _n_seen(places: Tensor, n_targets: int, block: int) -> Tensor:
    """Count, for each block of targets, the sources at or before its last one."""
    ends = torch.arange(block, n_targets + block, block, device=places.device, dtype=places.dtype)
    ends = ends.clamp(max=n_targets).expand(*places.shape[:2], -1).contiguous()
    return torch.searchsorted(places, ends).to(torch.int32)


def _per_own_head(values: Tensor, like: Tensor) -> Tensor:
    """Add up what query heads say about the own source that they share."""
    added: Tensor = values.unflatten(1, (like.shape[1], -1)).sum(dim=2)
    return added.to(like.dtype)


@triton.jit
@no_type_check
def _forward(
    Q, KEYS, VALUES, OWN_K, OWN_V, PLACES, ADDED, N_SEEN, OUT, TOTAL, scale,
    n_targets, n_sources, n_heads, n_shared, n_own_shared,
    places_example, places_head, added_example, added_head,
    D: tl.constexpr, T: tl.constexpr, S: tl.constexpr, W: tl.constexpr, EXACT: tl.constexpr,
):  # fmt: skip
    """Give a block of targets of one head its output and its logarithm of summed exponentials."""
    block, row = tl.program_id(0), tl.program_id(1)
    example, head = row // n_heads, row % n_heads
    targets, columns = block * T + tl.arange(0, T), tl.arange(0, W)
    is_target, is_column = targets < n_targets, columns < D
    is_in = is_target[:, None] & is_column[None, :]
    at = row.to(tl.int64) * n_targets * D + targets[:, None] * D + columns[None, :]
    q = tl.load(Q + at, mask=is_in, other=0.0)
    own_row = (row // n_own_shared).to(tl.int64) * n_targets * D
    own_at = own_row + targets[:, None] * D + columns[None, :]
    own_k = tl.load(OWN_K + own_at, mask=is_in, other=0.0)
    flags = ADDED + example * added_example + head * added_head + targets
    is_added = tl.load(flags, mask=is_target, other=0) != 0
    own_score = tl.sum(q.to(tl.float32) * own_k.to(tl.float32), 1) * scale
    highest = tl.where(is_added, own_score, float("-inf"))
    total = tl.where(is_added, 1.0, 0.0)
    own_v = tl.load(OWN_V + own_at, mask=is_in & is_added[:, None], other=0.0)
    output = own_v.to(tl.float32)
    kv_row = (row // n_shared).to(tl.int64) * n_sources * D
    place_row = example * places_example + (head // n_shared) * places_head
    n_blocks = tl.cdiv(n_targets, T)
    # The counts of a set stand where its places stand, one for each block of targets.
    seen_row = (place_row // n_sources) * n_blocks + block
    n_seen = tl.load(N_SEEN + seen_row)
    for start in range(0, n_seen, S):
        sources = start + tl.arange(0, S)
        is_source = sources < n_seen
        source_at = kv_row + sources[:, None] * D + columns[None, :]
        is_kv = is_source[:, None] & is_column[None, :]
        k = tl.load(KEYS + source_at, mask=is_kv, other=0.0)
        place = tl.load(PLACES + place_row + sources, mask=is_source, other=2147483647)
        score = tl.dot(q, tl.trans(k), input_precision=EXACT) * scale
        score = tl.where(place[None, :] <= targets[:, None], score, float("-inf"))
        new = tl.maximum(highest, tl.max(score, 1))
        base = tl.where(new == float("-inf"), 0.0, new)
        weight = tl.exp2((score - base[:, None]) * LOG2_E)
        old = tl.exp2((highest - base) * LOG2_E)
        v = tl.load(VALUES + source_at, mask=is_kv, other=0.0)
        total = total * old + tl.sum(weight, 1)
        output = output * old[:, None]
        output += tl.dot(weight.to(v.dtype), v, input_precision=EXACT)
        highest = new
    # Rows beyond the text have seen nothing; they are not written.
    total = tl.where(total > 0, total, 1.0)
    output = output / total[:, None]
    tl.store(OUT + at, output.to(OUT.dtype.element_ty), mask=is_in)
    sums = tl.where(highest == float("-inf"), 0.0, highest) + tl.log(total)
    tl.store(TOTAL + row.to(tl.int64) * n_targets + targets, sums, mask=is_target)


@triton.jit
@no_type_check
def _backward_targets(
    Q, KEYS, VALUES, OWN_K, OWN_V, PLACES, ADDED, N_SEEN, GRAD, DELTA, TOTAL,
    OF_Q, OF_OWN_K, OF_OWN_V, scale,
    n_targets, n_sources, n_heads, n_shared, n_own_shared,
    places_example, places_head, added_example, added_head,
    D: tl.constexpr, T: tl.constexpr, S: tl.constexpr, W: tl.constexpr, EXACT: tl.constexpr,
):  # fmt: skip
    """Give a block of targets of one head the gradients of queries and of own sources."""
    block, row = tl.program_id(0), tl.program_id(1)
    example, head = row // n_heads, row % n_heads
    targets, columns = block * T + tl.arange(0, T), tl.arange(0, W)
    is_target, is_column = targets < n_targets, columns < D
    is_in = is_target[:, None] & is_column[None, :]
    at = row.to(tl.int64) * n_targets * D + targets[:, None] * D + columns[None, :]
    q = tl.load(Q + at, mask=is_in, other=0.0)
    grad = tl.load(GRAD + at, mask=is_in, other=0.0)
    sums_at = row.to(tl.int64) * n_targets + targets
    delta = tl.load(DELTA + sums_at, mask=is_target, other=0.0)
    total = tl.load(TOTAL + sums_at, mask=is_target, other=0.0)
    own_row = (row // n_own_shared).to(tl.int64) * n_targets * D
    own_at = own_row + targets[:, None] * D + columns[None, :]
    own_k = tl.load(OWN_K + own_at, mask=is_in, other=0.0).to(tl.float32)
    own_v = tl.load(OWN_V + own_at, mask=is_in, other=0.0).to(tl.float32)
    flags = ADDED + example * added_example + head * added_head + targets
    is_added = tl.load(flags, mask=is_target, other=0) != 0
    own_score = tl.sum(q.to(tl.float32) * own_k, 1) * scale
    own_weight = tl.where(is_added, tl.exp2((own_score - total) * LOG2_E), 0.0)
    change = own_weight * (tl.sum(grad.to(tl.float32) * own_v, 1) - delta) * scale
    of_q = change[:, None] * own_k
    tl.store(
        OF_OWN_K + at,
        (change[:, None] * q.to(tl.float32)).to(OF_OWN_K.dtype.element_ty),
        mask=is_in,
    )
    tl.store(
        OF_OWN_V + at,
        (own_weight[:, None] * grad.to(tl.float32)).to(OF_OWN_V.dtype.element_ty),
        mask=is_in,
    )
    kv_row = (row // n_shared).to(tl.int64) * n_sources * D
    place_row = example * places_example + (head // n_shared) * places_head
    n_blocks = tl.cdiv(n_targets, T)
    n_seen = tl.load(N_SEEN + (place_row // n_sources) * n_blocks + block)
    for start in range(0, n_seen, S):
        sources = start + tl.arange(0, S)
        is_source = sources < n_seen
        source_at = kv_row + sources[:, None] * D + columns[None, :]
        is_kv = is_source[:, None] & is_column[None, :]
        k = tl.load(KEYS + source_at, mask=is_kv, other=0.0)
        v = tl.load(VALUES + source_at, mask=is_kv, other=0.0)
        place = tl.load(PLACES + place_row + sources, mask=is_source, other=2147483647)
        score = tl.dot(q, tl.trans(k), input_precision=EXACT) * scale
        weight = tl.exp2((score - total[:, None]) * LOG2_E)
        weight = tl.where(place[None, :] <= targets[:, None], weight, 0.0)
        of_weight = tl.dot(grad, tl.trans(v), input_precision=EXACT)
        of_score = weight * (of_weight - delta[:, None])
        of_q += tl.dot(of_score.to(k.dtype), k, input_precision=EXACT) * scale
    tl.store(OF_Q + at, of_q.to(OF_Q.dtype.element_ty), mask=is_in)


@triton.jit
@no_type_check
def _backward_sources(
    Q, KEYS, VALUES, PLACES, GRAD, DELTA, TOTAL, OF_K, OF_V, scale,
    n_targets, n_sources, n_heads, n_shared, n_own_shared,
    places_example, places_head, added_example, added_head,
    D: tl.constexpr, T: tl.constexpr, S: tl.constexpr, W: tl.constexpr, EXACT: tl.constexpr,
):  # fmt: skip
    """Give a block of sources of one key head the gradients of keys and values."""
    block, row = tl.program_id(0), tl.program_id(1)
    n_kv_heads = n_heads // n_shared
    example, kv_head = row // n_kv_heads, row % n_kv_heads
    sources, columns = block * S + tl.arange(0, S), tl.arange(0, W)
    is_source, is_column = sources < n_sources, columns < D
    is_kv = is_source[:, None] & is_column[None, :]
    source_at = row.to(tl.int64) * n_sources * D + sources[:, None] * D + columns[None, :]
    k = tl.load(KEYS + source_at, mask=is_kv, other=0.0)
    v = tl.load(VALUES + source_at, mask=is_kv, other=0.0)
    place_at = PLACES + example * places_example + kv_head * places_head + sources
    place = tl.load(place_at, mask=is_source, other=2147483647)
    of_k = tl.zeros((S, W), tl.float32)
    of_v = tl.zeros((S, W), tl.float32)
    # Targets before the first source of the block see none of it; places may be below zero.
    first = tl.maximum(tl.min(place, 0), 0) // T * T
    for shared in range(n_shared):
        query_row = (example * n_heads + kv_head * n_shared + shared).to(tl.int64) * n_targets
        for start in range(first, n_targets, T):
            targets = start + tl.arange(0, T)
            is_target = targets < n_targets
            at = query_row * D + targets[:, None] * D + columns[None, :]
            is_in = is_target[:, None] & is_column[None, :]
            q = tl.load(Q + at, mask=is_in, other=0.0)
            grad = tl.load(GRAD + at, mask=is_in, other=0.0)
            delta = tl.load(DELTA + query_row + targets, mask=is_target, other=0.0)
            total = tl.load(TOTAL + query_row + targets, mask=is_target, other=0.0)
            score = tl.dot(k, tl.trans(q), input_precision=EXACT) * scale
            weight = tl.exp2((score - total[None, :]) * LOG2_E)
            is_seen = (place[:, None] <= targets[None, :]) & is_target[None, :]
            weight = tl.where(is_seen, weight, 0.0)
            of_v += tl.dot(weight.to(grad.dtype), grad, input_precision=EXACT)
            of_weight = tl.dot(v, tl.trans(grad), input_precision=EXACT)
            of_score = weight * (of_weight - delta[None, :])
            of_k += tl.dot(of_score.to(q.dtype), q, input_precision=EXACT) * scale
    tl.store(OF_K + source_at, of_k.to(OF_K.dtype.element_ty), mask=is_kv)
    tl.store(OF_V + source_at, of_v.to(OF_V.dtype.element_ty), mask=is_kv)
