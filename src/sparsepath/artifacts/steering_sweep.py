"""What `sparsepath steering sweep` wrote: effects and side effects of strengths."""

from typing import Final, Literal

from pydantic import Field

from sparsepath.artifacts.base import Artifact, Interval

SWEEP_SCHEMA: Final = 1
"""Version of the file; raised when a key is renamed or removed."""

Goal = Literal["more", "less"]
"""Whether the concept is to come more often, or less."""


class PointScores(Artifact):
    """Means over outputs of scores from 0 to 2, as `steering/score.py` defines them."""

    concept: float
    fluency: float
    relevance: float
    together: float
    """Mean of the harmonic means of single outputs."""


class SweepPoint(Artifact):
    """One way to steer, at one strength."""

    way: str
    """`unsteered`, `neuron`, `random neuron L02/5`, `random direction 1`, `mean difference`, or
    `prompt`."""
    strength: float | None
    """None where nothing has a strength."""
    n: int
    """Sampled outputs."""
    share: float
    """Of the outputs that carry the concept, 0 to 1."""
    share_ci95: Interval
    bits_per_byte: float
    """Of the neutral texts, from the second token of each on."""
    bits_ratio: float
    """To that of the unsteered model."""
    repetition: float
    """Mean share of 4-grams of tokens that occurred earlier in the same output, 0 to 1."""
    repetition_ci95: Interval
    accuracy: float | None = None
    """On labelled rows, 0 to 1; None where none were given."""
    is_fluent: bool
    """Whether the side effects are small: bits per byte at most 5 % higher, and no more repetition
    than the interval of the unsteered model allows."""
    example: str = ""
    """The first output."""
    scores: PointScores | None = None
    """None where they were not asked for."""


class Recommended(Artifact):
    """Where the effect is largest while the side effects are small."""

    strength: float
    low: float
    """Strengths beside it that are fluent too, and no worse within the interval of the best."""
    high: float


class Sweep(Artifact):
    """A sweep over strengths."""

    schema_version: int = Field(default=SWEEP_SCHEMA, alias="schema")
    model: str
    model_sha256: str
    neurons: tuple[str, ...]
    operation: str
    positions: str
    goal: Goal
    judge: str
    """How outputs are judged: the words, or classifier and label."""
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    """The same for every point; one output for each prompt and seed."""
    tokens: int
    temperature: float
    top_p: float
    neutral: str
    """Where the neutral texts came from."""
    n_neutral: int
    points: tuple[SweepPoint, ...]
    recommended: Recommended | None
    """None where no strength of the neuron is fluent and better than no steering."""
    created: str
    sparsepath: str

    def of(self, way: str) -> list[SweepPoint]:
        """Give the points of one way, in the order of strengths."""
        return [point for point in self.points if point.way == way]


class ClassPoint(Artifact):
    """One way to steer a classifier, at one strength."""

    way: str
    """`unsteered`, `neuron`, or `random neuron L02/5`."""
    strength: float | None
    """None where nothing has a strength."""
    n: int
    """Rows that are to turn."""
    share: float
    """Of them that the model gives the target label, 0 to 1."""
    share_ci95: Interval
    n_others: int
    """Other rows."""
    accuracy: float | None
    """On them, 0 to 1; None where there are none."""
    accuracy_ci95: Interval | None
    is_harmless: bool
    """Whether that accuracy is within the interval of the unsteered model's, or above it."""


class ClassSweep(Artifact):
    """A sweep over strengths on a classifier."""

    schema_version: int = Field(default=SWEEP_SCHEMA, alias="schema")
    model: str
    model_sha256: str
    neurons: tuple[str, ...]
    operation: str
    goal: Goal
    target: str
    """Label that rows are to turn to; with the goal `less`, to turn from."""
    sources: tuple[str, ...]
    """Labels, in the table, of the rows that are to turn."""
    table: str
    points: tuple[ClassPoint, ...]
    recommended: Recommended | None
    """None where no harmless strength is better than no steering."""
    created: str
    sparsepath: str
