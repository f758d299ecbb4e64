"""Attention edges: scores are what happens when attention moves, in every family."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from transformers.models.bert import modeling_bert

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.surgery import extract
from sparsepath.models.units import UnitMask
from sparsepath.pathways.edges import EdgeScore, score_edges

IDS = [1, 9, 5, 4, 20, 2]


def test_every_edge_of_every_family_is_scored(model: PathwayClassifier) -> None:
    edges = score_edges(model, IDS, label=1, limit=None)
    assert len({e[:4] for e in edges}) == len(edges)
    assert {e.layer for e in edges} == {0, 1, 2}
    assert {e.head for e in edges} == {0, 1, 2, 3}
    if model.encoder.config.model_type != "modernbert":  # whose layers see neighbours only
        assert len(edges) == 3 * 4 * len(IDS) ** 2
    sizes = [abs(e.score) for e in edges]
    assert sizes == sorted(sizes, reverse=True)
    assert score_edges(model, IDS, label=1, limit=5) == edges[:5]


@contextmanager
def shifted(edge: EdgeScore, by: float) -> Iterator[None]:
    """Add to the attention score of one edge before the softmax."""
    plain = modeling_bert.eager_attention_forward

    def attend(module, query, key, value, attention_mask, scaling=None, **kwargs):  # type: ignore[no-untyped-def]
        if module.layer_idx == edge.layer:
            extra = torch.zeros(1, query.shape[1], query.shape[2], key.shape[2])
            extra[0, edge.head, edge.target, edge.source] = by
            attention_mask = extra if attention_mask is None else attention_mask + extra
        return plain(module, query, key, value, attention_mask, scaling=scaling, **kwargs)

    modeling_bert.eager_attention_forward = attend
    try:
        yield
    finally:
        modeling_bert.eager_attention_forward = plain


def test_a_score_is_the_slope_in_the_edges_attention(trained: PathwayClassifier) -> None:
    config = trained.encoder.config
    before = config._attn_implementation
    for edge in score_edges(trained, IDS, label=2, limit=3):
        values = []
        for step in (-1e-2, 1e-2):
            config._attn_implementation = "eager"
            with shifted(edge, step), torch.no_grad():
                logits = trained(torch.tensor([IDS])).logits
            values.append(float(logits.log_softmax(-1)[0, 2]))
            config._attn_implementation = before
        assert edge.score == pytest.approx((values[1] - values[0]) / 2e-2, rel=0.05, abs=1e-4)


def test_names_and_the_model_stay_as_they_are(trained: PathwayClassifier) -> None:
    before = trained.encoder.config._attn_implementation
    edge = score_edges(trained, IDS, label=0, limit=1)[0]
    assert edge.name == f"{edge.source}>{edge.target}@L{edge.layer:02d}.H{edge.head:02d}"
    assert trained.encoder.config._attn_implementation == before
    assert all(p.grad is None for p in trained.parameters())


@pytest.mark.parametrize("empty", [0, 1, 2])
def test_layers_without_heads_have_no_edges(model: PathwayClassifier, empty: int) -> None:
    keep = UnitMask.full(model)
    keep.heads[empty] = False
    small = extract(model, keep)
    assert {e.layer for e in score_edges(small, IDS, label=0, limit=None)} == {0, 1, 2} - {empty}


def test_a_model_without_layers_has_no_edges(trained: PathwayClassifier) -> None:
    none = UnitMask.full(trained).without(UnitMask.full(trained))
    assert score_edges(extract(trained, none), IDS, label=0) == []
