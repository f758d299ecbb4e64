"""The task of labelling texts: an encoder with a classifier, fine-tuned on a labelled table.

Read with: `text_start.py` (what it begins with).
"""

from pathlib import Path

import torch
from jaxtyping import Float
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from sparsepath.data.labels import known_label_ids
from sparsepath.data.order import places_of_step
from sparsepath.data.split import split_table
from sparsepath.data.stdlib_docs import load_stdlib_docs
from sparsepath.data.tables import read_table, read_test_table
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.save import save_classifier
from sparsepath.trace.batches import bucketed_batches, encode_texts
from sparsepath.train.finetune import teacher_loss
from sparsepath.train.recipe import Recipe
from sparsepath.train.task import Batch, Evaluation, Outputs, Task
from sparsepath.train.text_start import text_start

DOCSTRINGS = "stdlib"
"""The source that needs no file: the standard library's docstrings, by area."""

EVALUATED_AT_ONCE = 64
"""Texts of a batch that is only scored."""


class TextTask(Task):
    """Classifying texts with a pre-trained encoder."""

    parts = ("held-out", "test")

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        """Find the model that is begun with, then read and split the table.

        Args:
            recipe: what to read.
            folder: not needed: the table stays where it is.

        Raises:
            ConfigError: if sites do not fit the model.
            DataError: if the table cannot be used, or has labels that the model does not know.
            ModelError: if there is no such model.
        """
        data = recipe.data
        self._recipe, self.start = recipe, text_start(recipe)
        self.tokenizer = Tokenizer.from_str(self.start.tokenizer_json)
        self.tokens_a_row = self.start.length
        if data.source == DOCSTRINGS:
            table, test = load_stdlib_docs(), None
        else:
            table = read_table(
                data.source,
                text_column=data.text_column,
                label_column=data.label_column,
                seed=recipe.seed,
            )
            test = read_test_table(data.test, like=table) if data.test is not None else None
        if self.start.labels is not None:
            known_label_ids(table.labels, self.start.labels)
        self.split = split_table(table, test=test, seed=recipe.seed)
        self.labels = self.start.labels or self.split.label_names
        self.encoded = encode_texts(self.tokenizer, self.split.texts, self.start.length)
        self._truth = torch.from_numpy(known_label_ids(self.split.labels, self.labels))

    @property
    def source(self) -> str:
        """The table and its training rows."""
        return f"{self._recipe.data.source}, {len(self.split.train):,} training rows"

    def model(self) -> PreTrainedModel:
        """Put a fresh classifier on the encoder, or go on from one, sparse or not."""
        return self.start.make(self.labels)

    def attending(self, model: PreTrainedModel) -> PreTrainedModel:
        """Give the encoder."""
        assert isinstance(model, PathwayClassifier)
        return model.encoder

    def batch(self, step: int) -> Batch:
        """Read texts, padded to the longest of them."""
        recipe, train = self._recipe, self.split.train
        places = places_of_step(step, recipe.train.batch_size, len(train), recipe.seed)
        rows = [int(train[place]) for place in places]
        ids = [self.encoded[row] for row in rows]
        width, pad_id = max(len(x) for x in ids), self.start.pad_id
        return {
            "input_ids": torch.tensor([[*x, *[pad_id] * (width - len(x))] for x in ids]),
            "attention_mask": torch.tensor([[1] * len(x) + [0] * (width - len(x)) for x in ids]),
            "labels": self._truth[rows],
        }

    def loss(self, model: nn.Module, batch: Batch) -> Float[Tensor, ""]:
        """Give the mean loss of naming a label, in nats.

        While a model learns from its parent too, it is mixed with the distance to what that says.
        """
        logits_BC = model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).logits
        share = self._recipe.train.distil
        if not share or not model.training:
            return functional.cross_entropy(logits_BC.float(), batch["labels"])
        parent = self.start.parent
        assert parent is not None
        parent.to(logits_BC.device).eval()
        with torch.no_grad():
            wanted_BC = parent(batch["input_ids"], batch["attention_mask"]).logits.float()
        mixed = teacher_loss(wanted_BC, batch["labels"], temperature=1.0, label_share=1 - share)
        return mixed(logits_BC.float(), torch.arange(len(wanted_BC), device=wanted_BC.device))

    @torch.no_grad()
    def outputs(self, model: nn.Module, part: str) -> Outputs:
        """Let a model answer held-out or test rows."""
        rows = self.split.valid if part == "held-out" else self.split.test
        encoded = [self.encoded[int(row)] for row in rows]
        labels_N = self._truth[torch.from_numpy(rows)]
        device = next(model.parameters()).device
        logits_NC = torch.empty(len(rows), len(self.labels))
        for batch in bucketed_batches(encoded, None, EVALUATED_AT_ONCE, pad_id=self.start.pad_id):
            found = model(
                input_ids=batch.input_ids.to(device),
                attention_mask=batch.attention_mask.to(device),
            )
            logits_NC[batch.rows] = found.logits.float().cpu()
        return Outputs(logits_NC, labels_N)

    def evaluate(self, model: nn.Module, part: str) -> Evaluation:
        """Score a model on held-out or test rows."""
        model.eval()
        logits_NC, labels_N = self.outputs(model, part)
        model.train()
        accuracy = float((logits_NC.argmax(dim=-1) == labels_N).double().mean())
        loss = float(functional.cross_entropy(logits_NC, labels_N))
        return Evaluation(part, loss, {"accuracy": accuracy}, len(labels_N))

    def save(self, model: PreTrainedModel, folder: Path, card: str) -> None:
        """Write the classifier as `sparsepath.poc` writes its models."""
        assert isinstance(model, PathwayClassifier)
        save_classifier(folder, model, self.start.tokenizer_json, card=card)
