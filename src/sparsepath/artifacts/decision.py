"""An audit card: why a language model wrote a token, with all that is needed to see it again.

A card holds the text (or only its hash), the question, the evidence with its own test, hashes of
the model and of the catalogue whose labels it shows, versions and machine. Its own hash makes any
later change of it visible.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from sparsepath.artifacts.base import SCHEMA, Artifact
from sparsepath.artifacts.store import read_json, write_json_atomic
from sparsepath.errors import RunError

TOLERANCE = 1e-3
"""Logits, or shares, by which a figure may differ on another machine."""


class CardQuestion(Artifact):
    """What was asked; the same again asks the same."""

    target: str
    against: str
    target_id: int | None = None
    against_id: int | None = None
    """In the vocabulary; None on older cards, where texts tell the tokens."""
    layer: int
    site: str
    contrast: str | None = None
    share: float
    n_random: int
    seed: int


class DecisionCard(Artifact):
    """One explained token."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    kind: Literal["next-token"] = "next-token"
    text: str | None
    """None: only its hash may be kept."""
    text_sha256: str
    question: CardQuestion
    evidence: dict[str, Any]
    """As `sparsepath explain --json` prints it, without the text."""
    model_sha256: str
    catalogue_sha256: str | None = None
    versions: dict[str, str]
    machine: str
    created_utc: str
    content_sha256: str = ""
    """Of everything else in the card."""

    def sealed(self) -> "DecisionCard":
        """Give the card with its own hash."""
        return self.model_copy(update={"content_sha256": self.own_sha256()})

    def own_sha256(self) -> str:
        """Hash everything but the hash."""
        told = self.model_dump(mode="json", by_alias=True, exclude={"content_sha256"})
        if self.question.target_id is None and self.question.against_id is None:
            for name in ("target_id", "against_id"):  # an older card's hash does not know them
                del told["question"][name]
        return text_sha256(json.dumps(told, sort_keys=True, ensure_ascii=False))


def text_sha256(text: str) -> str:
    """Hash a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def write_card(path: Path, card: DecisionCard) -> None:
    """Write a card whole or not at all, sealed.

    Raises:
        RunError: if it cannot be written.
    """
    write_json_atomic(path, card.sealed().model_dump(mode="json", by_alias=True))


def read_card(path: Path) -> DecisionCard:
    """Read a card.

    Raises:
        RunError: if it cannot be read, is none, or was changed after it was written.
    """
    try:
        card = read_json(path, DecisionCard)
    except RunError as err:
        hint = "give a file that `sparsepath explain MODEL TEXT --card FILE` wrote"
        raise RunError(err.message, hint=hint) from err
    if card.content_sha256 != card.own_sha256():
        raise RunError(
            f"{path} was changed after it was written: its contents have another hash than it says",
            hint="take the original, or explain the text again",
        )
    return card
