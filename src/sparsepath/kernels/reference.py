"""Slow, obviously correct versions of the kernels in this folder.

Each function writes the definition down in plain PyTorch, with masks and matrices of full size. If
a fast kernel and this file disagree, this file is right.

Shape letters: B examples, H query heads, K key and value heads, N positions, D width of a head.

Source: Hussain et al. 2023, "The Information Pathways Hypothesis", arXiv 2306.01705 (subsampled
self-attention: sources are left out, targets never); Takahashi et al. 2025, "TopK Language Models",
arXiv 2506.21468 (only the k largest entries are kept).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def attend(
    query: Float[Tensor, "batch heads targets width"],
    key: Float[Tensor, "batch kv_heads sources width"],
    value: Float[Tensor, "batch kv_heads sources width"],
    visible: Bool[Tensor, "#batch #heads targets sources"],
    *,
    scale: float | None = None,
) -> Float[Tensor, "batch heads targets width"]:
    """Let each target attend to the sources that it sees; one that sees none gets zeros.

    Args:
        query: of the targets.
        key: of the sources; a group of query heads shares one, first heads first.
        value: of the sources.
        visible: True where a target sees a source.
        scale: factor of the dot products; 1 / sqrt(width) if None.
    """
    n_shared = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(n_shared, dim=1) for x in (key, value))
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores_BHNN = (query @ key.mT * scale).masked_fill(~visible, -torch.inf)
    sees_any = visible.any(dim=-1, keepdim=True)
    weights_BHNN = scores_BHNN.masked_fill(~sees_any, 0.0).softmax(dim=-1) * sees_any
    return weights_BHNN @ value


def largest(
    x: Float[Tensor, "*rows width"], k: int
) -> tuple[Float[Tensor, "*rows k"], Int[Tensor, "*rows k"]]:
    """Find the k largest entries of each row: NaN above everything, ties to the lowest index.

    Args:
        x: any rows.
        k: 1 to width.

    Returns:
        The entries and where they stand, by ascending place.
    """
    # A stable sort leaves equal entries in their order; -0 and +0 are equal.
    order = (x + 0.0).sort(dim=-1, descending=True, stable=True).indices
    indices = order[..., :k].sort(dim=-1).values
    return x.gather(-1, indices), indices


def sparse_linear(
    values: Float[Tensor, "*rows k"],
    indices: Int[Tensor, "*rows k"],
    weight: Float[Tensor, "inputs outputs"],
    bias: Float[Tensor, " outputs"] | None = None,
) -> Float[Tensor, "*rows outputs"]:
    """Multiply rows that are zero but for k entries with a matrix.

    Args:
        values: the entries.
        indices: where they stand; none twice in a row.
        weight: one row an input.
        bias: added to every output.
    """
    dense = torch.zeros(*values.shape[:-1], len(weight), dtype=values.dtype, device=values.device)
    product = dense.scatter_(-1, indices, values) @ weight
    return product if bias is None else product + bias


def visible_sources(
    positions: Int[Tensor, "batch heads kept"], n: int, *, is_causal: bool
) -> Bool[Tensor, "batch heads n n"]:
    """Say which target sees which source when all targets share a set of sources.

    Args:
        positions: of the sources that are kept; entries of `n` or more stand for none.
        n: positions of the text.
        is_causal: a target sees no later source, and always itself.
    """
    is_kept = torch.zeros(*positions.shape[:2], n + 1, dtype=torch.bool, device=positions.device)
    is_kept.scatter_(-1, positions.clamp(max=n), value=True)
    visible = is_kept[..., :n].unsqueeze(-2).expand(-1, -1, n, -1)
    return _causal(visible) if is_causal else visible


def visible_in_strata(
    positions: Int[Tensor, "batch heads strata"], stratum: int, n: int
) -> Bool[Tensor, "batch heads n n"]:
    """Say which target sees which source when one source of each stratum is kept; causal.

    Stratum number g holds the positions above `(g - 1) * stratum` up to `g * stratum`. Its source
    is seen by all targets from `g * stratum` on; and every target sees itself.

    Args:
        positions: the kept source of each stratum.
        stratum: positions of a stratum.
        n: positions of the text.
    """
    visible = visible_sources(positions, n, is_causal=True)
    places = torch.arange(n, device=positions.device)
    is_over = (places + stratum - 1) // stratum <= places.view(n, 1) // stratum
    return visible & (is_over | torch.eye(n, dtype=torch.bool, device=positions.device))


def visible_in_windows(
    order: Int[Tensor, "batch heads n"], window: int, *, is_causal: bool
) -> Bool[Tensor, "batch heads n n"]:
    """Say which target sees which source when shuffled sources are cut into windows.

    The targets of window number w, in their own order, see the sources of window number w.

    Args:
        order: the sources in shuffled order: a permutation; entries of `n` or more stand for none.
        window: sources, and targets, of a window; the last may have fewer.
        is_causal: a target sees no later source, and always itself.
    """
    n = order.shape[-1]
    places = torch.arange(n, device=order.device)
    window_of_source = torch.full((*order.shape[:2], n + 1), -1, device=order.device)
    shuffled_windows = (places // window).expand(order.shape)
    window_of_source.scatter_(-1, order.clamp(max=n), shuffled_windows)
    visible = (places // window).view(n, 1) == window_of_source[..., :n].unsqueeze(-2)
    return _causal(visible) if is_causal else visible


def _causal(visible: Bool[Tensor, "*sets n n"]) -> Bool[Tensor, "*sets n n"]:
    """Take away later sources and add the target itself."""
    n = visible.shape[-1]
    ones = torch.ones(n, n, dtype=torch.bool, device=visible.device)
    return (visible & ones.tril()) | torch.eye(n, dtype=torch.bool, device=visible.device)
