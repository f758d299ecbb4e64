"""Dropout left on at inference: what a sceptic compares a self-ensemble with.

Source: Gal and Ghahramani 2016, arXiv 1506.02142.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.trace.batches import bucketed_batches
from sparsepath.trace.gates import evaluating

ROWS_AT_ONCE = 64
"""Rows of a batch."""


@torch.no_grad()
def run_dropout(
    model: PathwayClassifier,
    encoded: Sequence[Sequence[int]],
    *,
    n_members: int,
    share: float = 0.1,
    seed: int = 0,
) -> Float[Tensor, "members rows labels"]:
    """Answer every row several times with a random part of the hidden states dropped.

    Args:
        model: a classifier; as it was afterwards.
        encoded: token ids of each row.
        n_members: passes.
        share: of the entries that are dropped, wherever the model was built to drop any.
        seed: draws them.
    """
    pad_id = int(model.config.pad_token_id or 0)
    members = torch.empty(n_members, len(encoded), model.classifier.out_features)
    drops = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    before = [module.p for module in drops]
    with evaluating(model), torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            for module in drops:
                module.p = share
                module.train()
            for batch in bucketed_batches(encoded, None, ROWS_AT_ONCE, pad_id=pad_id):
                for member in members:
                    logits = model(
                        input_ids=batch.input_ids, attention_mask=batch.attention_mask
                    ).logits
                    member[batch.rows] = logits.softmax(dim=-1)
        finally:
            for module, p in zip(drops, before, strict=True):
                module.p = p
                module.eval()
    return members
