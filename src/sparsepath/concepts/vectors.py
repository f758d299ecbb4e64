"""Vectors of labels by the local default encoder, for search by meaning."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from sparsepath.models.base import BaseModel, resolve_base_model
from sparsepath.models.tokenizer import parse_tokenizer
from sparsepath.trace.batches import bucketed_batches, encode_texts

MAX_TOKENS = 64
"""Of a label."""

BATCH = 64


def find_encoder() -> BaseModel | None:
    """Find the default encoder: in the cache, on the hub, or in its package; None if nowhere."""
    return resolve_base_model(None)


@torch.inference_mode()
def embed(encoder: BaseModel, texts: Sequence[str]) -> NDArray[np.float16]:
    """Give a vector of length one for every text, [texts, features]; equal texts are done once.

    Args:
        encoder: pools by the mean of its tokens.
        texts: any.
    """
    distinct = sorted(set(texts))
    tokenizer = parse_tokenizer(encoder.tokenizer_json, where=Path(encoder.path_or_id))
    encoded = encode_texts(tokenizer, distinct, MAX_TOKENS)
    width = int(encoder.encoder.config.hidden_size)
    found = np.zeros((len(distinct), width), np.float16)
    for batch in bucketed_batches(encoded, None, BATCH, pad_id=0):
        hidden: Float[torch.Tensor, "batch tokens features"] = encoder.encoder(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask
        ).last_hidden_state
        mask = batch.attention_mask[..., None].float()
        mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp_min(1)
        unit = torch.nn.functional.normalize(mean, dim=-1)
        found[batch.rows.numpy()] = unit.numpy().astype(np.float16)
    number = {text: i for i, text in enumerate(distinct)}
    return found[[number[text] for text in texts]]
