"""What sparse sites keep is recorded and scaled, and the model is left as it was."""

import pytest
import torch
from tests.models.conftest import random_classifier

from sparsepath.errors import ShapeError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.topk_classifier import make_sparse
from sparsepath.trace.batches import bucketed_batches
from sparsepath.trace.sparse import gated_sparse, record_sparse, sparse_means

IDS = torch.tensor([[5, 6, 7, 8, 9], [10, 11, 12, 13, 14]])


@pytest.fixture
def sparse() -> PathwayClassifier:
    """A BERT whose layers 0 and 1 keep 6 of 24 neurons and 8 of 32 entries."""
    return make_sparse(random_classifier("bert"), {"mlp_hidden": 6, "block_out": 8}).eval()


@torch.no_grad()
def test_gates_of_one_change_nothing_and_gates_of_zero_leave_the_mean(
    sparse: PathwayClassifier,
) -> None:
    widths = [24, 32, 24, 32]
    means = [torch.arange(width) / width for width in widths]
    whole = sparse(IDS).logits
    with gated_sparse(sparse, [torch.ones(width) for width in widths], means):
        assert torch.equal(sparse(IDS).logits, whole)
    gates = [torch.ones(2, width) for width in widths]
    gates[2][1, 5] = 0.0
    with gated_sparse(sparse, gates, means), record_sparse(sparse) as values:
        changed = sparse(IDS).logits
    torch.testing.assert_close(values[2][1, :, 5], torch.full((5,), 5 / 24))
    assert torch.equal(changed[0], whole[0])
    assert not torch.equal(changed[1], whole[1])
    assert torch.equal(sparse(IDS).logits, whole)


@torch.no_grad()
def test_what_is_recorded_is_what_was_kept(sparse: PathwayClassifier) -> None:
    with record_sparse(sparse) as values:
        sparse(IDS)
    assert [int((x != 0).sum(-1).max()) for x in values] == [6, 8, 6, 8]


def test_means_are_those_of_real_tokens(sparse: PathwayClassifier) -> None:
    rows = [[5, 6, 7], [8, 9, 10, 11, 12, 13]]
    found = sparse_means(sparse, bucketed_batches(rows, None, 2, pad_id=0))
    sums = [torch.zeros(len(mean)) for mean in found]
    for row in rows:
        with torch.no_grad(), record_sparse(sparse) as values:
            sparse(torch.tensor([row]))
        sums = [total + x[0].sum(dim=0) for total, x in zip(sums, values, strict=True)]
    for mean, total in zip(found, sums, strict=True):
        torch.testing.assert_close(mean, total / 9)


def test_gates_of_another_model_are_refused(sparse: PathwayClassifier) -> None:
    with (
        pytest.raises(ShapeError, match="sparse sites of this model have"),
        gated_sparse(sparse, [torch.ones(24)], [torch.ones(24)]),
    ):
        pass
