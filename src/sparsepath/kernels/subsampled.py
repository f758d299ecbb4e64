"""Attention over subsampled sources that leaves the others out for real: no mask of full size.

Which sources are kept is given; who draws them is `nn/sampling.py`. Three shapes of it:

- one set of sources for all targets (`attend_to_sources`): keys and values are gathered; with a
  causal mask, blocks of targets look at the prefix of kept sources before them without any mask,
  at those inside the block with a small one, and at themselves;
- one source from each stratum of equal length (`attend_to_strata`): the targets of a stratum see
  the same sources, so they become heads that share them, and a plain causal kernel does the rest;
- windows over shuffled sources (`attend_in_windows`): windows become examples.

Shape letters: B examples, H query heads, K key and value heads, N positions, M kept sources,
S positions of a stratum, G strata, W positions of a window, D width of a head.

Read with: `reference.py` (what is right), `merged.py` (how pieces are joined on a CPU),
`triton/causal.py` (the same on a GPU).

Source: Hussain et al. 2023, arXiv 2306.01705, figure 3.
"""

from types import ModuleType

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from sparsepath.errors import ShapeError
from sparsepath.kernels.merged import Own, Piece, attend_in_pieces, hidden
from sparsepath.kernels.reference import (
    attend,
    visible_in_strata,
    visible_in_windows,
    visible_sources,
)

N_BLOCKS = 16
"""Blocks of targets of a causal text: more of them leave less to masks, and cost more calls."""

LEAST_BLOCK = 64
"""Targets of a block, at least."""

TRITON_DEVICES = {"cuda"}
"""Where Triton's kernels are used; its interpreter also runs them on a CPU."""

Heads = Float[Tensor, "batch heads n width"]
KvHeads = Float[Tensor, "batch kv_heads n width"]


def attend_to_sources(
    query: Heads,
    key: KvHeads,
    value: KvHeads,
    positions: Int[Tensor, "sets set_heads kept"],
    *,
    is_causal: bool,
    scale: float | None = None,
) -> Heads:
    """Let all targets attend to the same kept sources; later ones are hidden if causal.

    Differentiable in query, key and value. Deterministic.

    Args:
        query: of the targets.
        key: of all sources.
        value: of all sources.
        positions: of the kept sources, ascending, none twice; `n` or more stands for none, at the
            end. One set for all heads or examples where that axis is 1.
        is_causal: a target sees no later source, and always itself.
        scale: factor of the dot products; 1 / sqrt(width) if None.

    Returns:
        For a target that sees nothing (possible if not causal and nothing is kept) zeros.

    Raises:
        ShapeError: if heads or positions do not fit.
    """
    _check(query, key, positions)
    n = query.shape[2]
    if positions.shape[-1] == 0 and not is_causal:
        return query * 0.0
    if not is_causal:
        mask_B1 = _mask(positions >= n, query)[..., None, :] if _has_gaps(positions, n) else None
        return _attend_all(query, key, value, positions, mask_B1, scale)
    gpu = _gpu_kernels(query)
    if query.device.type != "cpu" and gpu is None:
        visible = visible_sources(positions, n, is_causal=True)
        return attend(query, key, value, _per_query_head(visible, query, key), scale=scale)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    own = Own(key, value, ~_is_kept(_per_query_head(positions, query, key), n))
    taken_key, taken_value = (_take(x, positions) for x in (key, value))
    if gpu is not None:
        sources = gpu.Sources(taken_key, taken_value, positions)
        found: Tensor = gpu.attend_causally(query, sources, own, scale=scale)
        return found
    pieces = _causal_pieces(_per_query_head(positions, query, key), n, query.dtype)
    return attend_in_pieces(query, taken_key, taken_value, pieces, own, scale=scale)


def attend_to_strata(
    query: Heads,
    key: KvHeads,
    value: KvHeads,
    positions: Int[Tensor, "sets set_heads strata"],
    *,
    stratum: int,
    scale: float | None = None,
) -> Heads:
    """Attend causally where one source is kept of each stratum: exact, and without any mask.

    Stratum number g holds the positions above `(g - 1) * stratum` up to `g * stratum`. Targets from
    `g * stratum` on see its source; those inside the stratum do not, but for themselves.
    Differentiable in query, key and value.

    Args:
        query: of the targets.
        key: of all sources.
        value: of all sources.
        positions: the kept source of each stratum; `ceil(n / stratum)` of them.
        stratum: positions of a stratum, at least 1.
        scale: factor of the dot products; 1 / sqrt(width) if None.

    Raises:
        ShapeError: if heads or positions do not fit.
    """
    _check(query, key, positions)
    n, n_strata = query.shape[2], -(-query.shape[2] // stratum)
    if positions.shape[-1] != n_strata:
        raise ShapeError(
            f"{positions.shape[-1]} positions for {n_strata} strata of {stratum} in {n}",
            hint="pass one position per stratum",
        )
    gpu = _gpu_kernels(query)
    if query.device.type != "cpu" and gpu is None:
        visible = visible_in_strata(positions, stratum, n)
        return attend(query, key, value, _per_query_head(visible, query, key), scale=scale)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    n_shared = query.shape[1] // key.shape[1]
    is_kept = _is_kept(_per_query_head(positions, query, key), n)
    # The source of a stratum is seen by its last target, which may be itself, and by later ones.
    is_last = torch.arange(n, device=query.device) % stratum == 0
    is_added = ~(is_kept & is_last).expand(-1, query.shape[1], -1)
    own = Own(_fold(key, stratum), _fold(value, stratum), _fold(is_added, stratum, n_shared))
    folded, whole = _fold(query, stratum, n_shared), slice(0, n_strata)
    taken_key, taken_value = (_take(x, positions) for x in (key, value))
    if gpu is not None:
        places = torch.arange(n_strata, device=query.device).view(1, 1, -1)
        sources = gpu.Sources(taken_key, taken_value, places)
        output = gpu.attend_causally(folded, sources, own, scale=scale)
    else:
        pieces = [Piece(whole, whole, None, is_causal=True)]
        output = attend_in_pieces(folded, taken_key, taken_value, pieces, own, scale=scale)
    return _unfold(output, stratum, n_shared, n)


def attend_in_windows(  # noqa: PLR0913 - every one is part of the definition
    query: Heads,
    key: KvHeads,
    value: KvHeads,
    order: Int[Tensor, "sets set_heads n"],
    *,
    window: int,
    is_causal: bool,
    scale: float | None = None,
) -> Heads:
    """Let the targets of each window attend to the window of shuffled sources at the same place.

    Differentiable in query, key and value. Deterministic.

    Args:
        query: of the targets, in their own order.
        key: of all sources, in their own order.
        value: of all sources.
        order: the sources in shuffled order; entries of `n` or more stand for none.
        window: sources, and targets, of a window; the last window may have fewer.
        is_causal: a target sees no later source, and always itself.
        scale: factor of the dot products; 1 / sqrt(width) if None.

    Returns:
        For a target that sees nothing (possible if not causal) zeros.

    Raises:
        ShapeError: if heads or order do not fit.
    """
    _check(query, key, order)
    n, n_examples = query.shape[2], query.shape[0]
    gpu = _gpu_kernels(query)
    if query.device.type != "cpu" and gpu is None:
        visible = visible_in_windows(order, window, is_causal=is_causal)
        return attend(query, key, value, _per_query_head(visible, query, key), scale=scale)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    # Places beyond the text are sources that nobody sees, and targets whose answer is dropped.
    cut = pad(order, (0, -n % window), value=n).unflatten(-1, (-1, window)).sort(dim=-1).values
    shown, sources = cut.unsqueeze(-2), cut.flatten(-2)
    places = torch.arange(sources.shape[-1], device=order.device).view(-1, window, 1)
    is_open = (
        (shown < n) & (shown <= places) if is_causal else (shown < n).expand_as(shown == places)
    )
    sees_own = _per_query_head((is_open & (shown == places)).any(-1).flatten(2), query, key)
    visible = _per_query_head(is_open.flatten(2, 3), query, key).expand(n_examples, -1, -1, -1)
    is_added = _windows(~sees_own.expand(n_examples, -1, -1), window)
    own = Own(_windows(key, window), _windows(value, window), is_added) if is_causal else None
    queries, keys, values = (
        _windows(x, window) for x in (query, _take(key, sources), _take(value, sources))
    )
    if gpu is not None and own is not None:
        # Places count from the start of each window.
        inside = (
            (cut - places[:, :1, 0]).expand(n_examples, -1, -1, -1).transpose(1, 2).flatten(0, 1)
        )
        output = gpu.attend_causally(queries, gpu.Sources(keys, values, inside), own, scale=scale)
    else:
        mask = _windows(_mask(~visible, query), window)
        output = _attend_whole(queries, keys, values, mask, own, scale)
    joined: Tensor = output.unflatten(0, (n_examples, -1)).transpose(1, 2).flatten(2, 3)[:, :, :n]
    return joined if is_causal else joined * visible[:, :, :n].any(dim=-1, keepdim=True)


def _attend_whole(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor, own: Own | None, scale: float
) -> Tensor:
    """Let all targets see what a mask leaves, and their own sources."""
    if own is None:
        shares = query.shape[1] != key.shape[1]
        return scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=scale, enable_gqa=shares
        )
    whole = slice(0, query.shape[2])
    return attend_in_pieces(query, key, value, [Piece(whole, whole, mask)], own, scale=scale)


def _gpu_kernels(query: Tensor) -> ModuleType | None:
    """Give the Triton twins where they run; None on a CPU or without the extra `gpu`."""
    if query.device.type not in TRITON_DEVICES:
        return None
    try:
        from sparsepath.kernels.triton import causal
    except ImportError:
        return None
    return causal


def _check(query: Tensor, key: Tensor, positions: Tensor) -> None:
    """Check that heads can be shared and that the sets of positions fit.

    Raises:
        ShapeError: if not.
    """
    if query.shape[1] % key.shape[1]:
        raise ShapeError(
            f"{query.shape[1]} query heads cannot share {key.shape[1]} key heads",
            hint="use a number of query heads that is a multiple of the key heads",
        )
    if positions.shape[0] not in {1, key.shape[0]} or positions.shape[1] not in {1, key.shape[1]}:
        raise ShapeError(
            f"positions for {tuple(positions.shape[:2])} examples and heads",
            hint=f"this call needs 1 or {key.shape[0]} examples and 1 or {key.shape[1]} heads",
        )


def _attend_all(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    positions: Tensor,
    mask: Tensor | None,
    scale: float | None,
) -> Tensor:
    """Let every target see every kept source; zeros where none is kept."""
    output = scaled_dot_product_attention(
        query,
        _take(key, positions),
        _take(value, positions),
        attn_mask=None if mask is None else _per_query_head(mask, query, key),
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    if mask is None:
        return output
    is_any_kept = (positions < query.shape[2]).any(dim=-1)[..., None, None]
    return output * _per_query_head(is_any_kept, query, key)


def _causal_pieces(positions: Tensor, n: int, dtype: torch.dtype) -> list[Piece]:
    """Cut targets into blocks; each sees a prefix of the sources whole and a few by a mask."""
    block = max(LEAST_BLOCK, -(-n // N_BLOCKS))
    starts = torch.arange(0, n, block)
    ends = (starts + block).clamp(max=n)
    shape, sets = (*positions.shape[:2], len(starts)), positions.contiguous()
    seen_by_all = torch.searchsorted(sets, starts.expand(shape).contiguous(), right=True)
    seen_by_any = torch.searchsorted(sets, ends.expand(shape).contiguous())
    pieces = []
    for start, end, first, last in zip(
        starts.tolist(),
        ends.tolist(),
        seen_by_all.amin(dim=(0, 1)).tolist(),
        seen_by_any.amax(dim=(0, 1)).tolist(),
        strict=True,
    ):
        targets = slice(start, end)
        if first > 0:
            pieces.append(Piece(targets, slice(0, first), None))
        if last > first:
            is_later = positions[..., None, first:last] > torch.arange(start, end).view(-1, 1)
            mask = torch.zeros(is_later.shape, dtype=dtype).masked_fill(is_later, hidden(dtype))
            pieces.append(Piece(targets, slice(first, last), mask))
    return pieces


def _take(values: Tensor, positions: Tensor) -> Tensor:
    """Gather sources; what stands for none becomes some source, which a mask must hide."""
    n_examples, n_heads, n, width = values.shape
    places = positions.clamp(max=n - 1).expand(n_examples, n_heads, -1)
    return values.gather(2, places.unsqueeze(-1).expand(-1, -1, -1, width))


def _is_kept(positions: Tensor, n: int) -> Tensor:
    """Say for each target whether its own source is kept."""
    is_kept = torch.zeros(*positions.shape[:2], n + 1, dtype=torch.bool, device=positions.device)
    return is_kept.scatter_(-1, positions.clamp(max=n), value=True)[..., :n]


def _per_query_head(values: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """Repeat what is said per key head for the query heads that share it."""
    if values.shape[1] == 1:
        return values
    return values.repeat_interleave(query.shape[1] // key.shape[1], dim=1)


def _mask(is_hidden: Tensor, query: Tensor) -> Tensor:
    """Turn flags into numbers to add to scores."""
    mask = torch.zeros(is_hidden.shape, dtype=query.dtype, device=query.device)
    return mask.masked_fill_(is_hidden, hidden(query.dtype))


def _windows(values: Tensor, window: int) -> Tensor:
    """Make every window of the third axis an example; the last one is filled with zeros."""
    n_missing = -values.shape[2] % window
    if n_missing:
        values = pad(values, (0, 0) * (values.dim() - 3) + (0, n_missing))
    cut: Tensor = values.unflatten(2, (-1, window)).transpose(1, 2).flatten(0, 1)
    return cut


def _fold(values: Tensor, stratum: int, n_shared: int = 1) -> Tensor:
    """Make every place within a stratum a head; `n_shared` heads in a row share a key."""
    n_missing = -values.shape[2] % stratum
    if n_missing:
        values = pad(values, (0, 0) * (values.dim() - 3) + (0, n_missing))
    apart = values.unflatten(1, (-1, n_shared)).unflatten(3, (-1, stratum))
    # K, shared, G, S becomes K, S, shared, G: heads that share a key stay side by side.
    folded: Tensor = apart.movedim(4, 2).flatten(1, 3)
    return folded


def _unfold(values: Tensor, stratum: int, n_shared: int, n: int) -> Tensor:
    """Undo `_fold`."""
    apart = values.unflatten(1, (-1, stratum, n_shared))
    whole: Tensor = apart.movedim(2, 4).flatten(3, 4).flatten(1, 2)
    return whole[:, :, :n]


def _has_gaps(positions: Tensor, n: int) -> bool:
    """Say whether some entries stand for no source."""
    return bool((positions[..., -1] >= n).any())
