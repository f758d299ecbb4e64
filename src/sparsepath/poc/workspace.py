"""What the stages of a PoC share: the run folder, the rows, the models, the clock.

Whatever a stage needs from an earlier one is read from the run folder when it is first asked for,
so that a run goes on after any interruption.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from sparsepath.artifacts.store import read_json
from sparsepath.config import PocOptions
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.save import load_classifier
from sparsepath.models.surgery import extract
from sparsepath.models.units import UnitMask
from sparsepath.poc.base import EncoderChoice, choose_encoder
from sparsepath.poc.plan import TimePlan
from sparsepath.poc.progress import Progress
from sparsepath.poc.rows import RowsFile
from sparsepath.poc.state import WORK_FOLDER, PocState
from sparsepath.trace.batches import Batch, bucketed_batches, encode_texts
from sparsepath.train.finetune import score_on
from sparsepath.train.loop import ValidationScore

MODELS_FOLDER = "models"

QUALITY_BATCH = 32
"""Texts that go through a graph together where only the answer matters."""

SCORING_ROWS = 1024
"""Training rows on which units are scored and sub-models are repaired, at most."""


LEAST_JUDGING_ROWS, JUDGING_TOKENS_PER_MINUTE = 200, 17_000
"""Validation rows that judge a model while it learns: at least so many, and so many tokens for each
minute of the run."""


class Rows(NamedTuple):
    """One part of the table, encoded for the models in memory."""

    texts: list[str]
    """The texts."""
    encoded: list[list[int]]
    """Token ids of the reduced tokenizer."""
    labels: Int[Tensor, " rows"]
    """Class indices."""
    row_ids: list[int]
    """Where each row stands in its source."""


class Workspace:
    """Everything that stages read and write."""

    def __init__(
        self, options: PocOptions, state: PocState, plan: TimePlan, progress: Progress
    ) -> None:
        """Hold the parts; nothing is read yet."""
        self.options, self.state, self.plan, self.progress = options, state, plan, progress
        self.folder = options.out
        self.work_folder = options.out / WORK_FOLDER
        self.memory: dict[str, object] = {}

    @cached_property
    def rows_file(self) -> RowsFile:
        """The rows as the first stage left them."""
        return read_json(self.work_folder / "rows.json", RowsFile)

    @cached_property
    def encoder(self) -> EncoderChoice:
        """The base model, with the tokenizer cut to the words of this table."""
        return choose_encoder(self.options, self.rows_file)

    @property
    def label_names(self) -> list[str]:
        """Labels in class order."""
        return self.rows_file.label_names

    @cached_property
    def small_tokenizer(self) -> Tokenizer:
        """The tokenizer of sub-models."""
        return Tokenizer.from_str(self.encoder.small_tokenizer_json)

    @property
    def pad_id(self) -> int:
        """The id that fills short rows, in the reduced vocabulary."""
        return self.encoder.small_pad_id

    @cached_property
    def train(self) -> Rows:
        """Rows that weights are fitted on."""
        return self._part(self.rows_file.train)

    @cached_property
    def valid(self) -> Rows:
        """Rows that every choice is made on."""
        return self._part(self.rows_file.valid)

    @cached_property
    def judge(self) -> Callable[[PathwayClassifier], ValidationScore]:
        """Scores a model while it learns, on as many validation rows as a short run can afford."""
        tokens = np.cumsum([len(ids) for ids in self.valid.encoded])
        limit = JUDGING_TOKENS_PER_MINUTE * self.options.minutes
        n_rows = max(LEAST_JUDGING_ROWS, int((tokens <= limit).sum()))
        return score_on(self.valid.encoded[:n_rows], self.valid.labels[:n_rows], self.pad_id)

    @cached_property
    def test(self) -> Rows:
        """Rows that only the last measurement sees."""
        return self._part(self.rows_file.test)

    @cached_property
    def full(self) -> PathwayClassifier:
        """The fine-tuned model, its word embeddings cut to the table's vocabulary."""
        return self.reduced(load_classifier(self.folder / MODELS_FOLDER / "full").model)

    def reduced(self, model: PathwayClassifier) -> PathwayClassifier:
        """Cut the word embeddings of a whole model to the table's vocabulary."""
        kept = torch.tensor(self.encoder.kept_ids)
        small = extract(model, UnitMask.full(model), vocabulary=kept)
        small.eval()
        return small

    def load(self, name: str) -> PathwayClassifier:
        """Load a sub-model, whose vocabulary is already cut."""
        return load_classifier(self.folder / MODELS_FOLDER / name).model

    def batches(self, rows: Rows, n: int, batch_size: int = 32) -> list[Batch]:
        """Give the first `n` rows of a seeded shuffle as batches with labels."""
        chosen = self.shuffled(len(rows.texts))[:n]
        encoded = [rows.encoded[i] for i in chosen]
        return list(bucketed_batches(encoded, rows.labels[chosen], batch_size, pad_id=self.pad_id))

    def shuffled(self, n: int) -> list[int]:
        """Give 0 to n - 1 in an order that the seed decides."""
        order: list[int] = torch.randperm(n, generator=self.generator()).tolist()
        return order

    def generator(self, number: int = 0) -> torch.Generator:
        """Make a generator from the seed and a number that tells uses apart."""
        return torch.Generator().manual_seed(self.options.seed * 1_000 + number)

    def save_tensors(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Replace one file of tensors in the work folder."""
        path = self.work_folder / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".tmp")
        save_file({key: value.contiguous() for key, value in tensors.items()}, unfinished)
        unfinished.replace(path)

    def load_tensors(self, name: str) -> dict[str, Tensor]:
        """Read one file of tensors of the work folder."""
        return load_file(self.work_folder / f"{name}.safetensors")

    def path(self, relative: str) -> Path:
        """Give a path inside the run folder."""
        return self.folder / relative

    def _part(self, positions: list[int]) -> Rows:
        """Encode some rows."""
        rows = self.rows_file
        texts = [rows.texts[i] for i in positions]
        encoded = encode_texts(self.small_tokenizer, texts, self.encoder.max_length)
        labels = torch.from_numpy(np.array([rows.label_ids[i] for i in positions], dtype=np.int64))
        return Rows(texts, encoded, labels, [rows.row_ids[i] for i in positions])
