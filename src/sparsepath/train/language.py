"""The task of a language model: its corpus as token rows, its model, its losses.

Everything that is made of the corpus lies in a folder of the run and is made once: the tokenizer,
the training tokens and the held-out ones.
"""

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM

from sparsepath.data.corpus import documents, is_held_out
from sparsepath.data.shards import TokenShard, is_written, write_shard
from sparsepath.errors import ConfigError
from sparsepath.models.language import END, fresh_llama, train_byte_tokenizer
from sparsepath.train.recipe import Recipe

TOKENIZER_FILE = "tokenizer.json"

BATCH_DOCUMENTS = 64
"""Documents that are tokenized together."""


class LanguageData(NamedTuple):
    """A corpus, ready to be read by steps."""

    tokenizer_json: str
    """Text of `tokenizer.json`."""
    train: TokenShard
    """Rows that weights are fitted on."""
    held_out: TokenShard
    """Rows that are only evaluated on."""

    @property
    def vocabulary(self) -> int:
        """Number of tokens."""
        return self.train.index.vocabulary

    @property
    def bytes_per_token(self) -> float:
        """Bytes of held-out text that a token stands for, on the average."""
        return self.held_out.index.text_bytes / self.held_out.index.n_tokens


class Evaluation(NamedTuple):
    """One look at held-out rows."""

    loss_nats: float
    """Mean over tokens."""
    bits_per_byte: float
    """The same per byte of text, in bits."""
    n_tokens: int
    """Tokens that were predicted."""


def prepare_language(recipe: Recipe, folder: Path) -> LanguageData:
    """Make or find tokenizer and tokens.

    Args:
        recipe: what to read.
        folder: where they are kept.

    Raises:
        ConfigError: if the tokenizer cannot be used.
        DataError: if the corpus cannot be read or is too short.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(recipe, folder)
    text = tokenizer.to_str()
    digest = hashlib.sha256(text.encode()).hexdigest()
    for name in ("train", "held-out"):
        if not is_written(folder / name, digest):
            _write(recipe, tokenizer, folder / name, digest, held_out=name == "held-out")
    length = recipe.data.length + 1  # a row predicts each token but its first
    return LanguageData(
        text,
        TokenShard(folder / "train", length=length),
        TokenShard(folder / "held-out", length=length),
    )


def make_language_model(recipe: Recipe, data: LanguageData) -> LlamaForCausalLM:
    """Make the model with its first weights."""
    shape = recipe.model
    return fresh_llama(
        vocabulary=data.vocabulary,
        length=recipe.data.length,
        d_model=shape.d_model,
        n_layers=shape.n_layers,
        n_heads=shape.n_heads,
        n_kv_heads=shape.n_kv_heads,
        d_mlp=shape.d_mlp,
        seed=recipe.seed,
    )


def next_token_loss(
    model: torch.nn.Module, rows: Int[Tensor, "rows positions"]
) -> Float[Tensor, ""]:
    """Give the mean loss of predicting each token from those before it, in nats."""
    logits_RPV = model(input_ids=rows[:, :-1], use_cache=False).logits
    return functional.cross_entropy(logits_RPV.flatten(0, 1).float(), rows[:, 1:].flatten())


@torch.no_grad()
def evaluate_language(
    model: torch.nn.Module, data: LanguageData, *, n_rows: int, batch_size: int
) -> Evaluation:
    """Score a model on the first held-out rows; dense, in evaluation mode.

    Args:
        model: goes back to training mode.
        data: the corpus.
        n_rows: rows at most.
        batch_size: rows at once.
    """
    model.eval()
    n_rows = min(n_rows, data.held_out.n_stretches)
    device = next(model.parameters()).device
    total = 0.0
    for start in range(0, n_rows, batch_size):
        numbers = range(start, min(n_rows, start + batch_size))
        rows = torch.stack([torch.from_numpy(data.held_out.stretch(i)) for i in numbers])
        total += float(next_token_loss(model, rows.to(device))) * len(numbers)
    model.train()
    loss = total / n_rows
    bits_per_byte = loss / math.log(2) / data.bytes_per_token
    return Evaluation(loss, bits_per_byte, n_rows * (data.held_out.length - 1))


def _tokenizer(recipe: Recipe, folder: Path) -> Tokenizer:
    """Read the given tokenizer, the one made before, or make one."""
    made = folder / TOKENIZER_FILE
    path = recipe.tokenizer.file or made
    if recipe.tokenizer.file is not None and not path.exists():
        raise ConfigError(
            f"there is no tokenizer at {path}", hint="give the path of a tokenizer.json"
        )
    if path.exists():
        try:
            return Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as err:
            raise ConfigError(
                f"{path} is no tokenizer ({err})", hint="give a tokenizer.json"
            ) from err
    texts = (
        text
        for number, text in enumerate(documents(recipe.data.source))
        if not is_held_out(number, recipe.data.held_out)
    )
    tokenizer = train_byte_tokenizer(texts, size=recipe.tokenizer.size)
    unfinished = made.with_suffix(".tmp")
    tokenizer.save(str(unfinished))
    unfinished.replace(made)
    return tokenizer


def _write(
    recipe: Recipe, tokenizer: Tokenizer, folder: Path, digest: str, *, held_out: bool
) -> None:
    """Tokenize one part of the corpus."""
    end = tokenizer.token_to_id(END)
    text_bytes: list[int] = []

    def encoded() -> Iterator[list[int]]:
        texts = (
            text
            for number, text in enumerate(documents(recipe.data.source))
            if is_held_out(number, recipe.data.held_out) == held_out
        )
        for batch in _batches(texts):
            text_bytes.append(sum(len(text.encode()) for text in batch))
            for encoding in tokenizer.encode_batch(batch, add_special_tokens=False):
                yield encoding.ids if end is None else [*encoding.ids, end]

    write_shard(
        folder,
        encoded(),
        vocabulary=tokenizer.get_vocab_size(),
        tokenizer_sha256=digest,
        text_bytes=text_bytes,
    )


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
