"""A model as an ensemble of its own sub-models: several passes, each over other random sources.

Members of a text go through the model together, as rows of one batch with a set of sources each.

Source: Hussain et al. 2023, arXiv 2306.01705: inference as a self-ensemble. That probabilities are
averaged is what the same authors' later code does (arXiv 2402.04538, TGT).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sparsepath.errors import ConfigError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.nn.sampling import Mode
from sparsepath.nn.subsampling import subsample
from sparsepath.trace.batches import Batch, bucketed_batches
from sparsepath.trace.gates import evaluating

TOKENS_AT_ONCE = 8_192
"""Tokens of all members in one pass, about."""


ROWS_AT_ONCE = 64
"""Rows of a dense pass."""


class Members(NamedTuple):
    """What the sub-models and the dense model say."""

    probabilities: Float[Tensor, "members rows labels"]
    """Of each member."""
    dense: Float[Tensor, "rows labels"]
    """Of one pass over all sources."""


@torch.no_grad()
def run_members(
    model: PathwayClassifier,
    encoded: Sequence[Sequence[int]],
    *,
    n_members: int,
    keep: float,
    mode: Mode = "uniform",
    generator: torch.Generator,
) -> Members:
    """Answer every row once per member, and once densely.

    Args:
        model: a classifier; as it was afterwards.
        encoded: token ids of each row.
        n_members: random sub-models, at least 1.
        keep: share of the sources that each keeps, above 0 and up to 1.
        mode: how sources are drawn.
        generator: draws them.

    Raises:
        ConfigError: if `n_members` or `keep` is out of range.
    """
    if n_members < 1:
        raise ConfigError(f"{n_members} members", hint="use at least 1")
    dense = answer(model, encoded)
    pad_id = int(model.config.pad_token_id or 0)
    members = torch.empty(n_members, *dense.shape)
    longest = max(len(ids) for ids in encoded)
    n_rows = max(1, TOKENS_AT_ONCE // (n_members * longest))
    subsampled = subsample(
        model.encoder,
        keep=keep,
        mode=mode,
        per_example=True,
        in_eval=True,
        generator=generator,
    )
    with evaluating(model), subsampled:
        for batch in bucketed_batches(encoded, None, n_rows, pad_id=pad_id):
            repeated = batch._replace(
                input_ids=batch.input_ids.repeat(n_members, 1),
                attention_mask=batch.attention_mask.repeat(n_members, 1),
            )
            found = _probabilities(model, repeated)
            members[:, batch.rows] = found.unflatten(0, (n_members, -1))
    return Members(members, dense)


@torch.no_grad()
def answer(
    model: PathwayClassifier, encoded: Sequence[Sequence[int]]
) -> Float[Tensor, "rows labels"]:
    """Answer every row once, over all sources.

    Args:
        model: a classifier; as it was afterwards.
        encoded: token ids of each row.
    """
    pad_id = int(model.config.pad_token_id or 0)
    found = torch.empty(len(encoded), model.classifier.out_features)
    with evaluating(model):
        for batch in bucketed_batches(encoded, None, ROWS_AT_ONCE, pad_id=pad_id):
            found[batch.rows] = _probabilities(model, batch)
    return found


def _probabilities(model: PathwayClassifier, batch: Batch) -> Float[Tensor, "rows labels"]:
    """Give probabilities."""
    logits: Tensor = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    return logits.softmax(dim=-1)
