"""Which attention edges matter for one text: source token, target token, layer and head.

An edge's score is the attention probability times the centred gradient with respect to it,
`p_ts * (g_ts - sum_u p_tu g_tu)`: the first-order change when attention to that source grows at the
cost of all others, as it must. Removing the edge changes the objective by about minus its score.
Attention runs in its plain form for this, since the fused ones give no probabilities.

Shape letters: T tokens (targets first, then sources), H heads.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.units import head_name
from sparsepath.trace.gates import evaluating

Objective = Callable[[Tensor], Tensor]
"""Turns logits [1, C] into one number."""


class EdgeScore(NamedTuple):
    """One attention edge of one text."""

    source: int
    """Position of the token that is read."""
    target: int
    """Position of the token that reads."""
    layer: int
    """Present layer of the model, from 0."""
    head: int
    """Head within that layer, from 0."""
    score: float
    """First-order gain of the objective when this edge gets more attention."""

    @property
    def name(self) -> str:
        """The edge as the rest of sparsepath writes it, such as `12>17@L02.H05`."""
        return f"{self.source}>{self.target}@{head_name(self.layer, self.head)}"


def score_edges(
    model: PathwayClassifier,
    ids: Sequence[int],
    *,
    label: int | None = None,
    objective: Objective | None = None,
    limit: int | None = 200,
) -> list[EdgeScore]:
    """Score the attention edges of one text.

    Args:
        model: the classifier; its weights and its kind of attention stay as they were.
        ids: the text, special tokens included.
        label: asks for the log-probability of this label. Give this or `objective`.
        objective: asks for another function of the logits.
        limit: how many edges to return, the strongest first by absolute score. None: all.

    Returns:
        Edges by falling absolute score. Layers without heads have none.
    """
    assert (label is None) != (objective is None), "give label or objective"
    with evaluating(model), torch.enable_grad(), _plain_attention(model):
        output = model(torch.tensor([list(ids)]), output_attentions=True)
        value = (
            output.logits.log_softmax(dim=-1)[0, label]
            if objective is None
            else objective(output.logits).sum()
        )
        given = list(output.attentions or ())
        if not any(p is not None for p in given):
            return []
        present = [(i, p) for i, p in enumerate(_per_layer(model, given)) if p is not None]
        grads = torch.autograd.grad(value, [p for _, p in present], allow_unused=True)
    edges = []
    for (layer, p_1HTT), grad in zip(present, grads, strict=True):
        if grad is not None:
            p_HTT, grad_HTT = p_1HTT[0].detach(), grad[0]
            centred_HTT = grad_HTT - (p_HTT * grad_HTT).sum(dim=-1, keepdim=True)
            edges += _strongest(p_HTT * centred_HTT, layer, limit)
    edges.sort(key=lambda edge: -abs(edge.score))
    return edges[:limit]


def _strongest(score: Tensor, layer: int, limit: int | None) -> list[EdgeScore]:
    """Return the strongest edges of one layer."""
    _, n_targets, n_sources = score.shape
    flat = score.flatten()
    n = len(flat) if limit is None else min(limit, len(flat))
    places = flat.abs().topk(n).indices.tolist()
    return [
        EdgeScore(
            source=place % n_sources,
            target=place // n_sources % n_targets,
            layer=layer,
            head=place // (n_sources * n_targets),
            score=float(flat[place]),
        )
        for place in places
    ]


def _per_layer(model: PathwayClassifier, given: list[Tensor | None]) -> list[Tensor | None]:
    """Line up attention probabilities with layers; those without heads have none."""
    has_heads = [bool(layer["heads"]) for layer in model.config.layers]
    found = iter(p for p in given if p is not None)
    return [next(found, None) if has else None for has in has_heads]


@contextmanager
def _plain_attention(model: PathwayClassifier) -> Iterator[None]:
    """Use the attention that returns probabilities, inside the block."""
    config = model.encoder.config  # one object for all its layers
    before = config._attn_implementation
    config._attn_implementation = "eager"
    try:
        yield
    finally:
        config._attn_implementation = before
