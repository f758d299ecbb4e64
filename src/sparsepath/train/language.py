"""The task of a language model: its corpus as token rows, its model, its losses.

Everything that is made of the corpus lies in a folder of the run and is made once: the tokenizer,
the training tokens and the held-out ones.
"""

import math
from pathlib import Path

import torch
from jaxtyping import Float
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from sparsepath.data.corpus import is_held_out
from sparsepath.data.shards import TokenShard
from sparsepath.errors import ConfigError, DataError
from sparsepath.models.language import train_byte_tokenizer
from sparsepath.models.parent import read_parent, read_parent_tokenizer
from sparsepath.models.tokenizer import parse_tokenizer
from sparsepath.nn.low_rank import merge_low_rank
from sparsepath.train.language_start import check_start, end_token, first_model
from sparsepath.train.recipe import Recipe
from sparsepath.train.task import Batch, Evaluation, Task
from sparsepath.train.tokens import documents_of, held_out_rows, open_tokens

TOKENIZER_FILE = "tokenizer.json"


class LanguageTask(Task):
    """Predicting each token of a corpus from those before it."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        """Make or find tokenizer and tokens.

        Args:
            recipe: what to read.
            folder: where they are kept.

        Raises:
            ConfigError: if the tokenizer cannot be used.
            DataError: if the corpus cannot be read or is too short.
        """
        check_start(recipe)  # before a large corpus is read
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer = _tokenizer(recipe, folder)
        self._recipe, self._tokenizer_json = recipe, tokenizer.to_str()
        end = end_token(recipe, tokenizer)
        self._train, self._held_out = open_tokens(recipe, tokenizer, folder, end=end)
        _check_enough(recipe, self._train)
        self.tokens_a_row = recipe.data.length
        self._teacher: PreTrainedModel | None = None

    @property
    def source(self) -> str:
        """The corpus."""
        index = self._train.index
        return f"{self._recipe.data.source}, {index.n_tokens:,} tokens of {index.vocabulary:,}"

    def model(self) -> PreTrainedModel:
        """Make the model with its first weights."""
        return first_model(self._recipe, self._train.index.vocabulary)

    def batch(self, step: int) -> Batch:
        """Read rows of tokens."""
        rows = self._train.batch(self._recipe.seed, step, self._recipe.train.batch_size)
        return {"rows": torch.from_numpy(rows)}

    def loss(self, model: torch.nn.Module, batch: Batch) -> Float[Tensor, ""]:
        """Give the mean loss of predicting a token, in nats.

        While a model learns from its parent too, it is mixed with the distance to what that says.
        """
        rows_RP = batch["rows"]
        logits_RPV = model(input_ids=rows_RP[:, :-1], use_cache=False).logits.float()
        told = functional.cross_entropy(logits_RPV.flatten(0, 1), rows_RP[:, 1:].flatten())
        share = self._recipe.train.distil
        if not share or not model.training:
            return told
        return (1 - share) * told + share * self._distance(rows_RP, logits_RPV)

    def _distance(self, rows: Tensor, logits: Tensor) -> Float[Tensor, ""]:
        """Give the mean divergence of the model's answer from the parent's, in nats."""
        if self._teacher is None:
            assert self._recipe.model.base is not None
            self._teacher = read_parent(self._recipe.model.base).eval().requires_grad_(False)
        teacher: torch.nn.Module = self._teacher
        teacher.to(rows.device)
        with torch.no_grad():
            wanted = teacher(input_ids=rows[:, :-1], use_cache=False).logits.float()
        return functional.kl_div(
            logits.log_softmax(-1).flatten(0, 1),
            wanted.log_softmax(-1).flatten(0, 1),
            reduction="batchmean",
            log_target=True,
        )

    @torch.no_grad()
    def evaluate(self, model: torch.nn.Module, part: str) -> Evaluation:
        """Score a model on the first held-out rows."""
        device = next(model.parameters()).device
        model.eval()
        total, n_rows = 0.0, 0
        for rows in held_out_rows(self._recipe, self._held_out):
            total += float(self.loss(model, {"rows": rows.to(device)})) * len(rows)
            n_rows += len(rows)
        model.train()
        loss = total / n_rows
        scores = {"bits_per_byte": self._bits_per_byte(loss)}
        return Evaluation(part, loss, scores, n_rows * self.tokens_a_row)

    def told(self, loss_nats: float) -> str:
        """Say a loss in nats a token and bits a byte."""
        return f"loss {loss_nats:.3f} nats, {self._bits_per_byte(loss_nats):.3f} bits a byte"

    def save(self, model: PreTrainedModel, folder: Path, card: str) -> None:
        """Write the model and its tokenizer."""
        merge_low_rank(model)
        super().save(model, folder, card)
        (folder / TOKENIZER_FILE).write_text(self._tokenizer_json, encoding="utf-8")

    def _bits_per_byte(self, loss_nats: float) -> float:
        """Turn nats a token into bits a byte, by the mean length of held-out tokens."""
        index = self._held_out.index
        return loss_nats / math.log(2) * index.n_tokens / index.text_bytes


def _check_enough(recipe: Recipe, rows: TokenShard) -> None:
    """See that a model that is gone on from has at least a step's rows to learn from.

    Raises:
        DataError: if it would learn so few by heart.
    """
    needed = recipe.train.batch_size
    if recipe.model.base is not None and rows.n_stretches < needed:
        raise DataError(
            f"the training documents of {recipe.data.source} make {rows.n_stretches} rows of "
            f"{recipe.data.length} tokens, fewer than the {needed} of one step",
            hint="use more text; a model learns so little by heart",
        )


def _tokenizer(recipe: Recipe, folder: Path) -> Tokenizer:
    """Read the given tokenizer, the parent's, the one made before, or make one."""
    if recipe.tokenizer.file is None and recipe.model.base is not None:
        return read_parent_tokenizer(recipe.model.base)
    made = folder / TOKENIZER_FILE
    path = recipe.tokenizer.file or made
    if recipe.tokenizer.file is not None and not path.exists():
        raise ConfigError(
            f"there is no tokenizer at {path}", hint="give the path of a tokenizer.json"
        )
    if path.exists():
        return parse_tokenizer(path.read_text(encoding="utf-8", errors="replace"), where=path)
    texts = (
        text
        for number, text in enumerate(documents_of(recipe))
        if not is_held_out(number, recipe.data.held_out)
    )
    tokenizer = train_byte_tokenizer(texts, size=recipe.tokenizer.size)
    unfinished = made.with_suffix(".tmp")
    tokenizer.save(str(unfinished))
    unfinished.replace(made)
    return tokenizer
