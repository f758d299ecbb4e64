"""Which encoder a PoC starts from, and its tokenizer cut to the words of the table."""

import json
import os
from collections.abc import Sequence
from typing import Literal, NamedTuple

from tokenizers import Tokenizer
from transformers.modeling_utils import PreTrainedModel

from sparsepath.config import PocOptions
from sparsepath.data.unknown import unknown_share
from sparsepath.models.base import BaseModel, resolve_base_model
from sparsepath.models.families import encoder_sites
from sparsepath.models.scratch import scratch_base_model
from sparsepath.models.tokenizer import special_tokens
from sparsepath.models.vocabulary import shrink_tokenizer, used_ids
from sparsepath.poc.rows import RowsFile
from sparsepath.trace.batches import encode_texts

LONGEST_TEXTS = (128, 96, 64, 48, 32)
"""Most tokens of a text that are read, the first that the time allows and the base model takes."""

OPERATIONS_PER_SECOND = 40e9
"""Floating-point operations that one core of an old server does in training; only lengths depend
on it, so that the same options cut texts at the same length on every machine."""

TRAINING_SHARE, LEAST_EPOCHS = 0.34, 2.0
"""Share of the minutes in which the whole model should see the training rows so many times."""

UNKNOWN_SAMPLE = 2000
"""Training texts on which the share of unknown tokens is measured."""


class EncoderChoice(NamedTuple):
    """The encoder a run starts from."""

    encoder: PreTrainedModel
    """Hugging Face body with its own weights."""
    origin: str
    """Where it came from, in words."""
    licence: str | None
    """Its licence, where it says so."""
    pooling: Literal["mean", "cls"]
    """How its tokens become one vector."""
    tokenizer_json: str
    """The whole tokenizer."""
    small_tokenizer_json: str
    """The tokenizer cut to the pieces that training and validation texts use."""
    kept_ids: list[int]
    """Ids in the whole tokenizer of the pieces that are left, in their new order."""
    small_pad_id: int
    """The padding id in the cut tokenizer."""
    max_length: int
    """Most tokens of a text that are read."""
    unknown_share: float
    """Share of unknown tokens in training texts, 0 to 1."""
    warning: str | None
    """What to say about it."""


def choose_encoder(options: PocOptions, rows: RowsFile) -> EncoderChoice:
    """Find the base model, or build one from scratch, and cut its tokenizer.

    Raises:
        ModelError: if the model that was asked for cannot be used.
    """
    base = resolve_base_model(options.model, allow_custom_code=options.allow_custom_code)
    train_texts = [rows.texts[i] for i in rows.train]
    if base is None:
        base = scratch_base_model(train_texts, seed=options.seed)
    tokenizer_json = base.tokenizer_json
    tokenizer = Tokenizer.from_str(tokenizer_json)
    longest = _longest(base, encode_texts(tokenizer, train_texts, LONGEST_TEXTS[0]), options)
    seen = train_texts + [rows.texts[i] for i in rows.valid]
    shrunk = shrink_tokenizer(
        json.loads(tokenizer_json), used_ids(encode_texts(tokenizer, seen, longest))
    )
    small_json = json.dumps(shrunk.tokenizer_json, ensure_ascii=False)
    pad_id = int(base.encoder.config.pad_token_id)
    unknown = unknown_share(
        train_texts[:UNKNOWN_SAMPLE],
        lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
        _unknown_id(tokenizer, tokenizer_json, pad_id),
    )
    return EncoderChoice(
        encoder=base.encoder,
        origin=base.origin,
        licence=base.licence,
        pooling=base.pooling,
        tokenizer_json=tokenizer_json,
        small_tokenizer_json=small_json,
        kept_ids=shrunk.kept_ids,
        small_pad_id=shrunk.kept_ids.index(pad_id),
        max_length=longest,
        unknown_share=unknown.share,
        warning=unknown.warning,
    )


def _longest(base: BaseModel, encoded: Sequence[Sequence[int]], options: PocOptions) -> int:
    """Choose how much of a text is read, so that training sees every row often enough."""
    embedding = encoder_sites(base.encoder).embedding.weight.numel()
    n_weights = sum(parameter.numel() for parameter in base.encoder.parameters()) - embedding
    rate = OPERATIONS_PER_SECOND * (os.cpu_count() or 1) / (6 * n_weights)
    n_tokens = options.minutes * 60 * TRAINING_SHARE * rate
    for longest in LONGEST_TEXTS:
        needed = LEAST_EPOCHS * sum(min(longest, len(ids)) for ids in encoded)
        if longest <= base.max_length and needed <= n_tokens:
            return longest
    return min(LONGEST_TEXTS[-1], base.max_length)


def _unknown_id(tokenizer: Tokenizer, tokenizer_json: str, pad_id: int) -> int | None:
    """Give the id of the unknown token, if there is one."""
    name = special_tokens(json.loads(tokenizer_json), pad_id).get("unk_token")
    return None if name is None else tokenizer.token_to_id(name)
