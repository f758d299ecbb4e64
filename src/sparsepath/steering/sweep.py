"""Find the strength of an edit: effect against side effects, each strength on the same seeds."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.steering_sweep import Goal, PointScores, Recommended, SweepPoint
from sparsepath.steering.judge import Judge
from sparsepath.steering.measures import GRAM, repetition, repetition_ci95, share_ci95
from sparsepath.steering.score import Scores

MOST_BITS = 1.05
"""Bits per byte on neutral text may grow by so much."""


class Output(NamedTuple):
    """One sampled output."""

    text: str
    tokens: list[int]


class Way(NamedTuple):
    """One thing to try."""

    name: str
    strength: float | None
    edits: list[Edit]
    prefix: str = ""
    """Text before every prompt."""


@runtime_checkable
class Writer(Protocol):
    """A model that writes and reads while it is steered."""

    def outputs(self, way: Way) -> list[Output]:
        """Sample one output for each prompt and seed, always the same ones."""
        ...

    def bits_per_byte(self, way: Way) -> float:
        """Measure how well neutral texts are predicted."""
        ...

    def accuracy(self, way: Way) -> float | None:
        """Measure the accuracy on labelled rows; None without any."""
        ...

    def scores(self, outputs: Sequence[Output], judge: Judge) -> Scores | None:
        """Score the outputs of one way, the unsteered one first; None where none are wanted."""
        ...


def measure(
    ways: Iterable[Way], writer: Writer, judge: Judge, tell: Callable[[SweepPoint], None]
) -> list[SweepPoint]:
    """Measure ways to steer; the first is the unsteered model.

    Args:
        ways: without edits first.
        writer: the model.
        judge: of its outputs.
        tell: is called with each point when it is known.
    """
    points: list[SweepPoint] = []
    for way in ways:
        point = _point(way, writer, judge, points[0] if points else None)
        points.append(point)
        tell(point)
    return points


def _point(way: Way, writer: Writer, judge: Judge, base: SweepPoint | None) -> SweepPoint:
    """Measure one way."""
    outputs = writer.outputs(way)
    carries = judge.carries([output.text for output in outputs])
    repeated = [repetition(output.tokens) for output in outputs]
    n_grams = sum(max(0, len(output.tokens) - GRAM + 1) for output in outputs)
    bits = writer.bits_per_byte(way)
    ratio = bits / base.bits_per_byte if base else 1.0
    mean = float(np.mean(repeated))
    scores = writer.scores(outputs, judge)
    return SweepPoint(
        way=way.name,
        strength=way.strength,
        n=len(outputs),
        share=sum(carries) / len(outputs),
        share_ci95=share_ci95(float(sum(carries)), len(outputs)),
        bits_per_byte=bits,
        bits_ratio=ratio,
        repetition=mean,
        repetition_ci95=repetition_ci95(repeated, n_grams),
        accuracy=writer.accuracy(way),
        is_fluent=base is None or (ratio <= MOST_BITS and mean <= base.repetition_ci95[1]),
        example=outputs[0].text,
        scores=None if scores is None else PointScores(**scores._asdict()),
    )


def recommend(base: SweepPoint, points: Sequence[SweepPoint], goal: Goal) -> Recommended | None:
    """Choose the strength with the largest effect among those with small side effects.

    Of equal effects the one with fewer bits per byte is taken.

    Args:
        base: of the unsteered model.
        points: of the neuron, one for each strength.
        goal: more or less of the concept.

    Returns:
        The strength, with the strengths beside it that are fluent and whose share lies within its
        interval; None where no fluent one is better than no steering.
    """
    sign = 1 if goal == "more" else -1
    ordered = sorted((p for p in points if p.strength is not None), key=lambda p: p.strength or 0.0)
    fluent = [p for p in ordered if p.is_fluent and sign * p.share > sign * base.share]
    if not fluent:
        return None
    best = max(fluent, key=lambda p: (sign * p.share, -p.bits_per_byte))
    place = ordered.index(best)
    low = high = place
    while low > 0 and _is_as_good(ordered[low - 1], best, fluent):
        low -= 1
    while high + 1 < len(ordered) and _is_as_good(ordered[high + 1], best, fluent):
        high += 1
    return Recommended(
        strength=best.strength or 0.0,
        low=ordered[low].strength or 0.0,
        high=ordered[high].strength or 0.0,
    )


def _is_as_good(point: SweepPoint, best: SweepPoint, fluent: Sequence[SweepPoint]) -> bool:
    """Say whether a point is fluent and its share within the interval of the best."""
    return point in fluent and best.share_ci95[0] <= point.share <= best.share_ci95[1]
