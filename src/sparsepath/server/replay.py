"""A decision once more: does the model that is here still say what the record says?

The text is the one that is kept, or one that someone brings: its salt tells whether it is the text
of the record.
"""

import json
from typing import Any, Final, NamedTuple

import numpy as np

from sparsepath.audit.record import quoted, salted_hash
from sparsepath.audit.search import Whole
from sparsepath.errors import ConfigError
from sparsepath.server.classifier import Answer, Classifier

TOLERANCE: Final = 1e-4
"""Largest difference of probabilities that counts as the same: texts that go through the engine
together are padded, which moves the last digits."""


class Given(NamedTuple):
    """Model, label and probability of a decision."""

    model: str
    sha256: str
    precision: str
    label: str
    probability: float


class Replay(NamedTuple):
    """A decision beside what the model says now."""

    seq: int
    """Of the record."""
    then: Given
    now: Given
    is_same_model: bool
    """Hash and precision are the same."""
    is_same_label: bool
    probability_change: float
    """Now minus then."""
    is_same: bool
    """All of it, the probability within 0.0001."""


def text_of(whole: Whole, brought: str | None = None) -> str:
    """Give the text of a decision.

    Args:
        whole: the record, and what is kept beside it.
        brought: the text that someone says it was; None: the one that is kept.

    Raises:
        ConfigError: if the record is no decision, its text is not kept, or it is another one.
    """
    record = whole.record
    if record.kind != "decision":
        raise ConfigError(
            f"record {record.seq} is no decision but {record.kind}",
            hint="give the number of a decision",
        )
    kept = {text.role: text for text in whole.texts}.get("input")
    if kept is None:
        raise ConfigError(
            f"text and salt of record {record.seq} were deleted",
            hint="nobody can say any more what the text was; choose another record",
        )
    if brought is None:
        if not kept.text:
            raise ConfigError(
                f"the text of record {record.seq} is not kept",
                hint="bring the text, which is compared with its hash, or serve with --keep-texts",
            )
        found: str = json.loads(kept.text)
        return found
    claimed = json.loads(record.body).get("texts", {}).get("input")
    if salted_hash(kept.salt, quoted(brought)) != claimed:
        raise ConfigError(
            f"this is not the text of record {record.seq}: its hash is another one",
            hint="bring the text as it was sent, to the character",
        )
    return brought


def compared(whole: Whole, model: Classifier, answer: Answer) -> Replay:
    """Put a decision beside an answer to its text."""
    body: dict[str, Any] = json.loads(whole.record.body)
    named: dict[str, Any] = body["model"]
    then = Given(
        named["name"], named["sha256"], named["precision"], body["label"], body["probability"]
    )
    first = int(np.argsort(-answer.probabilities, kind="stable")[0])
    probability = round(float(answer.probabilities[first]), 6)
    now = Given(model.name, model.sha256, model.precision, model.labels[first], probability)
    is_same_model = (then.sha256, then.precision) == (now.sha256, now.precision)
    is_same_label = then.label == now.label
    change = round(now.probability - then.probability, 6)
    is_same = is_same_model and is_same_label and abs(change) <= TOLERANCE
    return Replay(whole.record.seq, then, now, is_same_model, is_same_label, change, is_same)
