"""What a classifier is fitted to: labels (fine-tuning) or a teacher's logits (distilling).

Both give a `LossFunction` for `sparsepath.train.loop.fit`; `score_on` gives its validation.

Shape letters: B examples, C labels, N rows, D width of the pooled vector.

Source: Szegedy et al. 2016 (label smoothing); Hinton et al. 2015, section 2 (distilling: the
softened distributions are compared at temperature T and the loss is scaled by T squared).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.trace.batches import bucketed_batches
from sparsepath.trace.gates import evaluating
from sparsepath.train.loop import LossFunction, ValidationScore

EVALUATION_BATCH = 64
"""Examples a batch where no gradient is needed."""

NO_LABEL = -100
"""Stands for the label of a row that has none, such as a made-up text."""


def label_loss(labels: Int[Tensor, " rows"], *, smoothing: float = 0.1) -> LossFunction:
    """Give the cross-entropy against labels.

    Args:
        labels: The class index of each training row.
        smoothing: Share of the probability that is spread over all classes, 0 to 1.
    """

    def loss(logits: Tensor, rows: Tensor) -> Tensor:
        truth_B = labels[rows]
        return functional.cross_entropy(logits, truth_B, label_smoothing=smoothing)

    return loss


def teacher_loss(
    teacher: Float[Tensor, "rows labels"],
    labels: Int[Tensor, " rows"],
    *,
    temperature: float = 2.0,
    label_share: float = 0.2,
) -> LossFunction:
    """Give the divergence from a teacher's softened distribution, mixed with the label loss.

    Args:
        teacher: The teacher's logits of each training row.
        labels: The class index of each training row, `NO_LABEL` where there is none.
        temperature: Divides both models' logits, above 0.
        label_share: Weight of the cross-entropy against the labels, 0 to 1.
    """

    def loss(logits: Tensor, rows: Tensor) -> Tensor:
        soft_BC = functional.log_softmax(logits / temperature, dim=-1)
        want_BC = functional.softmax(teacher[rows] / temperature, dim=-1)
        softened = functional.kl_div(soft_BC, want_BC, reduction="batchmean") * temperature**2
        truth_B = labels[rows]
        if label_share == 0 or bool((truth_B == NO_LABEL).all()):
            return softened
        hard = functional.cross_entropy(logits, truth_B, ignore_index=NO_LABEL)
        return (1 - label_share) * softened + label_share * hard

    return loss


@torch.no_grad()
def predict_logits(
    model: PathwayClassifier, encoded: Sequence[Sequence[int]], pad_id: int
) -> Float[Tensor, "rows labels"]:
    """Give the logits of every row, in row order."""
    return _gather(model, encoded, pad_id, lambda ids, mask: model(ids, mask).logits)


@torch.no_grad()
def pooled_features(
    model: PathwayClassifier, encoded: Sequence[Sequence[int]], pad_id: int
) -> Float[Tensor, "rows features"]:
    """Give the pooled vector of every row, the classifier's input, in row order."""
    return _gather(model, encoded, pad_id, model.pool)


def score_on(
    encoded: Sequence[Sequence[int]], labels: Int[Tensor, " rows"], pad_id: int
) -> Callable[[PathwayClassifier], ValidationScore]:
    """Give a function that scores a model on fixed rows."""

    def score(model: PathwayClassifier) -> ValidationScore:
        logits_NC = predict_logits(model, encoded, pad_id)
        accuracy = float((logits_NC.argmax(dim=-1) == labels).double().mean())
        return ValidationScore(accuracy, float(functional.cross_entropy(logits_NC, labels)))

    return score


def put_classifier(
    model: PathwayClassifier, weight: Float[np.ndarray, "labels features"], bias: np.ndarray
) -> None:
    """Give a model the classifier that logistic regression found."""
    with torch.no_grad():
        model.classifier.weight.copy_(torch.as_tensor(weight))
        model.classifier.bias.copy_(torch.as_tensor(bias))


def _gather(
    model: PathwayClassifier,
    encoded: Sequence[Sequence[int]],
    pad_id: int,
    compute: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Run all rows in batches of similar length and put the results in row order."""
    out: Tensor | None = None
    with evaluating(model):
        for batch in bucketed_batches(encoded, None, EVALUATION_BATCH, pad_id=pad_id):
            values = compute(batch.input_ids, batch.attention_mask)
            if out is None:
                out = values.new_empty((len(encoded), values.shape[-1]))
            out[batch.rows] = values
    assert out is not None, "no rows"
    return out
