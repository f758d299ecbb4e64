"""Which words decided, by leaving each out: any engine can say it, without gradients or torch.

The share of a word is how much the lead of the label over the runner-up falls without it. This is
a measurement, not a model of the model; words that stand in for each other each look unimportant.

Source: Li, Monroe, Jurafsky 2016, "Understanding Neural Networks through Representation Erasure",
arXiv 1612.08220.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from sparsepath.runtime.base import FloatArray

_PARTS: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")
"""Words between white space; of Japanese and Chinese, characters."""

_LEAST: Final = 1e-9
"""Probabilities below count as this, so that leads stay finite."""


class Part(NamedTuple):
    """A stretch of a text."""

    start: int
    """Place of its first character."""
    end: int
    """Place after its last one."""


def parts(text: str) -> list[Part]:
    """Find the words of a text."""
    return [Part(found.start(), found.end()) for found in _PARTS.finditer(text)]


def without(text: str, part: Part) -> str:
    """Give a text without one part."""
    return text[: part.start] + text[part.end :]


def lead(probabilities: FloatArray, label: int, against: int) -> float:
    """Give the logarithm of how many times likelier one label is than another, in nats."""
    floor = np.maximum(probabilities.astype(np.float64), _LEAST)
    return float(np.log(floor[label]) - np.log(floor[against]))


def shares(
    whole: FloatArray, left_out: Sequence[FloatArray], label: int, against: int
) -> list[float]:
    """Give how much the lead falls without each part, in nats; above 0 speaks for the label.

    Args:
        whole: probabilities of the whole text, [labels].
        left_out: probabilities of the text without each part.
        label: number of the label that leads.
        against: number of the label that it is compared with.
    """
    all_ = lead(whole, label, against)
    return [all_ - lead(row, label, against) for row in left_out]
