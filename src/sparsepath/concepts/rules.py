"""A label as a rule: one to three parts, joined by `and` or by `or`."""

from typing import Literal, NamedTuple

import numpy as np

from sparsepath.concepts.bits import Bits, pack
from sparsepath.concepts.evidence.base import Kind
from sparsepath.concepts.questions import Questions

NOTHING = "nothing that was asked for"
"""Phrase of a rule without parts."""


class Part(NamedTuple):
    """One question of a label."""

    kind: Kind
    """Kind of evidence."""
    phrase: str
    """As it stands in the label."""
    is_head: bool
    """Whether it says what the token is."""
    feature: int | None
    """Number of the feature; None where values of a category are asked for."""
    category: int | None
    """Number of the category."""
    values: tuple[int, ...]
    """Of the category."""

    def key(self, questions: Questions) -> tuple[str, tuple[str, ...]]:
        """Say it in no language: key and words that belong to it."""
        if self.category is not None:
            return questions.categories[self.category].category.key, ()
        assert self.feature is not None
        feature = questions.features[self.feature]
        return feature.key, feature.args

    def names(self, questions: Questions) -> list[str]:
        """Give the values that it lists."""
        if self.category is None:
            return []
        return questions.categories[self.category].category.names(list(self.values))

    def bits(self, questions: Questions, *, held_out: bool) -> Bits:
        """Answer it at all positions of a part of the text."""
        if self.feature is not None:
            answers = questions.held_out if held_out else questions.finding
            found: Bits = answers[self.feature]
            return found
        assert self.category is not None
        codes = questions.categories[self.category]
        table = np.zeros(codes.category.n, bool)
        table[list(self.values)] = True
        return pack(table.take(codes.held_out if held_out else codes.finding))


class Rule(NamedTuple):
    """A label: where it says that a neuron fires."""

    join: Literal["and", "or"]
    """How its first two parts are joined; a third one is joined by `or`."""
    parts: tuple[Part, ...]
    """One to three; none for a neuron that never fires."""

    @property
    def phrase(self) -> str:
        """Say it."""
        if not self.parts:
            return NOTHING
        if self.join == "and" and len(self.parts) > 1:
            first, second, *rest = self.parts
            if second.is_head and not first.is_head:
                first, second = second, first
            phrases = [f"{first.phrase} {second.phrase}", *(part.phrase for part in rest)]
        else:
            phrases = [part.phrase for part in self.parts]
        return ", or ".join(phrases) if any(" or " in p for p in phrases) else " or ".join(phrases)

    def bits(self, questions: Questions, *, held_out: bool) -> Bits:
        """Say at every position of a part of the text whether it holds."""
        if not self.parts:
            return np.zeros_like((questions.held_out if held_out else questions.finding)[0])
        found, *rest = (part.bits(questions, held_out=held_out) for part in self.parts)
        for number, other in enumerate(rest):
            found = found & other if self.join == "and" and number == 0 else found | other
        return found
