"""What a training asks of the thing that is learnt: rows of a step, a model, a loss, scores.

A task is made once from a recipe. Everything that it gives for a step follows from the seed and the
number of the step, so that a training goes on exactly.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from sparsepath.models.quiet import quiet

Batch = dict[str, Tensor]
"""Tensors whose first axis is the row."""


class Evaluation(NamedTuple):
    """One look at rows that weights are not fitted on."""

    part: str
    """Which ones: `held-out`, which choices may look at, or `test`."""
    loss_nats: float
    """Mean loss; squared error where a number is predicted."""
    scores: dict[str, float]
    """What else is told, such as `accuracy` or `bits_per_byte`."""
    n: int
    """Predictions that were scored."""

    @property
    def text(self) -> str:
        """The scores in one line."""
        told = [f"{name.replace('_', ' ')} {value:.4f}" for name, value in self.scores.items()]
        return ", ".join([f"loss {self.loss_nats:.4f}", *told])


class Outputs(NamedTuple):
    """What a model says about every row of a part, and what is true."""

    values: Float[Tensor, "rows outputs"]
    """Logits of the labels; of a regression one number in standard deviations."""
    truth: Tensor
    """Class indices, or numbers in standard deviations; [rows]."""


class Task(ABC):
    """One thing that is learnt."""

    parts: tuple[str, ...] = ("held-out",)
    """What `evaluate` knows; the last one is told at the end."""

    tokens_a_row: int
    """Tokens, or patches, or atoms, of a row at most."""

    @abstractmethod
    def model(self) -> PreTrainedModel:
        """Make the model with its first weights."""

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """Give the rows of a step, all processes' together.

        Args:
            step: steps done before it.
        """

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Float[Tensor, ""]:
        """Give the mean loss of some rows."""

    @abstractmethod
    def evaluate(self, model: nn.Module, part: str) -> Evaluation:
        """Score a model, in evaluation mode, on a part; it goes back to training mode."""

    def outputs(self, model: nn.Module, part: str) -> Outputs | None:
        """Let a model, in the mode that it is in, answer all rows of a part; None for languages."""
        return None

    def told(self, loss_nats: float) -> str:
        """Say a training loss as a person wants to read it."""
        return f"loss {loss_nats:.3f}"

    def attending(self, model: PreTrainedModel) -> PreTrainedModel:
        """Give the part of the model whose attention may be subsampled."""
        return model

    def save(self, model: PreTrainedModel, folder: Path, card: str) -> None:
        """Write a trained model with its card; tasks with a tokenizer write that as well."""
        with quiet():
            model.save_pretrained(folder)
        (folder / "README.md").write_text(card, encoding="utf-8")

    @property
    @abstractmethod
    def source(self) -> str:
        """Say in a few words what is learnt from."""


def rows_of(batch: Batch) -> int:
    """Give the number of rows."""
    return len(next(iter(batch.values())))


def cut(batch: Batch, n: int, place: int) -> Batch:
    """Give one of `n` equal parts of a batch, by its place."""
    return {name: value.chunk(n)[place] for name, value in batch.items()}
