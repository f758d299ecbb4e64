"""From texts to padded batches of tokens.

Shape letters: B examples, T tokens of the longest example in a batch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Int
from tokenizers import Tokenizer
from torch import Tensor

from sparsepath.errors import ShapeError

BATCHES_PER_POOL = 32
"""Shuffled rows are sorted by length within pools of so many batches, which saves padding."""

TEXTS_PER_CALL = 4096
"""Texts tokenised at once, which bounds the memory of the encodings."""


class Batch(NamedTuple):
    """Some rows, padded on the right to equal length."""

    input_ids: Int[Tensor, "batch tokens"]
    """Token ids, int64."""
    attention_mask: Int[Tensor, "batch tokens"]
    """1 for real tokens, 0 for padding, int64."""
    labels: Int[Tensor, " batch"] | None
    """Label numbers, when given."""
    rows: Int[Tensor, " batch"]
    """Which entries of the encoded texts these are."""


def encode_texts(tokenizer: Tokenizer, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Turn texts into token ids with special tokens, cut to `max_length`, without padding.

    Args:
        tokenizer: its own truncation and padding are set aside during the call.
        texts: any texts, empty ones too.
        max_length: most tokens per text, special tokens included.
    """
    with cutting(tokenizer, max_length):
        encoded: list[list[int]] = []
        for start in range(0, len(texts), TEXTS_PER_CALL):
            chunk = list(texts[start : start + TEXTS_PER_CALL])
            encoded += [list(x.ids) for x in tokenizer.encode_batch(chunk)]
        return encoded


@contextmanager
def cutting(tokenizer: Tokenizer, max_length: int) -> Iterator[None]:
    """Let a tokenizer cut texts, and not fill them up, while the context lasts.

    Args:
        tokenizer: its own truncation and padding are set aside.
        max_length: most tokens per text, special tokens included; those stay.
    """
    truncation, padding = tokenizer.truncation, tokenizer.padding
    try:
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)
        yield
    finally:
        tokenizer.no_truncation()
        if truncation is not None:
            tokenizer.enable_truncation(**truncation)
        if padding is not None:
            tokenizer.enable_padding(**padding)


def bucketed_batches(
    encoded: Sequence[Sequence[int]],
    labels: Sequence[int] | Tensor | None,
    batch_size: int,
    *,
    pad_id: int,
    generator: torch.Generator | None = None,
) -> Iterator[Batch]:
    """Yield every row once, rows of similar length together.

    Args:
        encoded: token ids per row, at least one token each.
        labels: label number per row, or None.
        batch_size: rows per batch; the last batches may be smaller.
        pad_id: id that fills shorter rows.
        generator: shuffles rows and batches. None: shortest rows first, ties in row order.

    Raises:
        ShapeError: if there are not as many labels as rows, or the batch size is not positive.
    """
    if batch_size < 1:
        raise ShapeError(f"batch_size is {batch_size}", hint="use at least 1")
    if labels is not None and len(labels) != len(encoded):
        raise ShapeError(
            f"{len(labels)} labels for {len(encoded)} rows", hint="pass one label per row"
        )
    label_N = None if labels is None else torch.as_tensor(labels, dtype=torch.int64)
    for rows in _batch_rows([len(x) for x in encoded], batch_size, generator):
        yield _pad([encoded[i] for i in rows], rows, label_N, pad_id)


def _batch_rows(
    lengths: list[int], batch_size: int, generator: torch.Generator | None
) -> list[list[int]]:
    """Group row numbers into batches."""
    if generator is None:
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    shuffled: list[int] = torch.randperm(len(lengths), generator=generator).tolist()
    pool = batch_size * BATCHES_PER_POOL
    batches = []
    for start in range(0, len(shuffled), pool):
        rows = sorted(shuffled[start : start + pool], key=lengths.__getitem__)
        batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def _pad(ids: list[Sequence[int]], rows: list[int], labels: Tensor | None, pad_id: int) -> Batch:
    """Pad some rows to the longest of them."""
    width = max(len(x) for x in ids)
    input_ids = torch.full((len(ids), width), pad_id, dtype=torch.int64)
    attention_mask = torch.zeros(len(ids), width, dtype=torch.int64)
    for i, row in enumerate(ids):
        input_ids[i, : len(row)] = torch.as_tensor(row, dtype=torch.int64)
        attention_mask[i, : len(row)] = 1
    row_B = torch.as_tensor(rows, dtype=torch.int64)
    return Batch(input_ids, attention_mask, None if labels is None else labels[row_B], row_B)
