"""The corpus of a recipe as rows of tokens: written once into a folder of the run, then mapped."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Int
from tokenizers import Tokenizer
from torch import Tensor

from sparsepath.data.corpus import documents, is_held_out
from sparsepath.data.shards import TokenShard, is_written, write_shard
from sparsepath.errors import DataError
from sparsepath.train.recipe import Recipe

BATCH_DOCUMENTS = 64
"""Documents that are tokenized together."""


class Tokens(NamedTuple):
    """Both parts of a corpus; a row has one token more than `data.length`, to be predicted."""

    train: TokenShard
    held_out: TokenShard


def open_tokens(recipe: Recipe, tokenizer: Tokenizer, folder: Path, *, end: int | None) -> Tokens:
    """Write the tokens of a corpus, or find them.

    Args:
        recipe: what to read.
        tokenizer: makes them.
        folder: where they are kept.
        end: token behind each document; None: none.

    Raises:
        DataError: if the corpus cannot be read or is too short.
    """
    digest = hashlib.sha256(tokenizer.to_str().encode()).hexdigest()
    for name in ("train", "held-out"):
        if not is_written(folder / name, digest):
            _write(recipe, tokenizer, folder / name, digest, end, held_out=name == "held-out")
    length = recipe.data.length + 1
    return Tokens(
        TokenShard(folder / "train", length=length), TokenShard(folder / "held-out", length=length)
    )


def documents_of(recipe: Recipe) -> Iterator[str]:
    """Read the corpus."""
    data = recipe.data
    return documents(data.source, subset=data.subset, split=data.split, column=data.column)


def _write(
    recipe: Recipe,
    tokenizer: Tokenizer,
    folder: Path,
    digest: str,
    end: int | None,
    *,
    held_out: bool,
) -> None:
    """Tokenize one part of the corpus."""
    text_bytes: list[int] = []

    def encoded() -> Iterator[list[int]]:
        texts = (
            text
            for number, text in enumerate(documents_of(recipe))
            if is_held_out(number, recipe.data.held_out) == held_out
        )
        for batch in _batches(texts):
            text_bytes.append(sum(len(text.encode()) for text in batch))
            for encoding in tokenizer.encode_batch(batch, add_special_tokens=False):
                yield encoding.ids if end is None else [*encoding.ids, end]

    index = write_shard(
        folder,
        encoded(),
        vocabulary=tokenizer.get_vocab_size(),
        tokenizer_sha256=digest,
        text_bytes=text_bytes,
    )
    if index.n_tokens <= recipe.data.length:
        part = "held-out" if held_out else "training"
        raise DataError(
            f"the {part} documents of {recipe.data.source} have {index.n_tokens} tokens, a row "
            f"needs {recipe.data.length + 1}",
            hint="use more text, a shorter data.length, or another data.held_out",
        )


def held_out_rows(recipe: Recipe, shard: TokenShard) -> Iterator[Int[Tensor, "rows more"]]:
    """Give the first held-out rows, some at a time, as many as a recipe looks at."""
    settings = recipe.train
    n_rows = min(settings.evaluate_rows, shard.n_stretches)
    at_once = max(1, settings.batch_size // settings.accumulate)
    for start in range(0, n_rows, at_once):
        numbers = range(start, min(n_rows, start + at_once))
        yield torch.stack([torch.from_numpy(shard.stretch(i)) for i in numbers])


def _batches(texts: Iterator[str]) -> Iterator[list[str]]:
    """Group documents."""
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH_DOCUMENTS:
            yield batch
            batch = []
    if batch:
        yield batch
