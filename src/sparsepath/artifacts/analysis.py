"""What `analysis.json` of a run folder holds: all that the report shows beyond `results.json`.

Every part is optional, so that a run that was stopped half way still has a report. Shapes: L
layers, H heads. Values that do not exist (a head of a shorter layer, an empty bin) are None.
"""

from typing import Literal

from pydantic import Field

from sparsepath.artifacts.answer_mix import AnswerMix
from sparsepath.artifacts.base import SCHEMA, Artifact, Interval, MaybeFloat
from sparsepath.artifacts.neurons import NeuronFacts

RemovalOrder = Literal["important-first", "least-first", "random"]
DynamicKind = Literal["cascade", "early-exit"]


class DatasetFacts(Artifact):
    """What was found in the table and what was done to it."""

    text_column: str | None = None
    label_column: str | None = None
    how_found: str | None = None
    n_rows: int | None = None
    """Rows of the source, before sampling."""
    n_sampled: int | None = None
    """Rows taken from it; equal to `n_rows` when nothing was left out."""
    duplicates_moved: int | None = None
    near_duplicates_moved: int | None = None
    languages_note: str | None = None
    unknown_token_share: MaybeFloat = None
    warnings: list[str] = Field(default_factory=list)
    label_counts: dict[str, tuple[int, int, int]] = Field(default_factory=dict)
    """Rows of each label in train, valid, test."""


class MethodScores(Artifact):
    """Importance of every unit by one method; only comparable within the method."""

    heads: list[list[MaybeFloat]] = Field(default_factory=list)
    """One row a layer, one column a head."""
    neurons: list[list[MaybeFloat]] = Field(default_factory=list)
    """One row a layer, at most 128 columns: quantiles of the neurons' scores, highest first."""
    layers: list[MaybeFloat] = Field(default_factory=list)


class UnitReport(Artifact):
    """The parts of the full model and how much they matter."""

    n_layers: int
    n_heads: int
    n_neurons: list[int]
    """MLP neurons of each layer."""
    scores: dict[str, MethodScores] = Field(default_factory=dict)
    """By method: `gradient`, `activation`, `random`."""
    agreement: dict[str, MaybeFloat] = Field(default_factory=dict)
    """Spearman correlation of two methods, key `gradient~activation`."""


class Edge(Artifact):
    """One attention edge of one text: source token read by target token."""

    source: int
    target: int
    layer: int
    head: int
    score: float


class EdgeSample(Artifact):
    """The strongest attention edges of one text."""

    row_id: int
    text: str
    tokens: list[str]
    edges: list[Edge] = Field(default_factory=list)


class RemovalPoint(Artifact):
    """Quality after a share of the units has left."""

    fraction: float
    """Share of the units removed, 0 to 1."""
    accuracy: float
    accuracy_ci95: Interval | None = None
    nll_nats: MaybeFloat = None
    n: int | None = None
    """Rows that were answered."""


class RemovalCurve(Artifact):
    """How quality falls as units leave in one order."""

    order: RemovalOrder
    method: str
    points: list[RemovalPoint]


class LabelQuality(Artifact):
    """Quality on the test rows of one label."""

    label: str
    n: int
    precision: MaybeFloat = None
    recall: MaybeFloat = None
    f1: MaybeFloat = None


class Confusion(Artifact):
    """Counts of test rows; `matrix[i][j]` has truth i and answer j."""

    labels: list[str]
    matrix: list[list[int]]


class Flip(Artifact):
    """A test row that the candidate answers differently from the full model."""

    row_id: int
    text: str
    truth: str
    full: str
    candidate: str


class CalibrationBin(Artifact):
    """Rows of similar confidence, and how many of them were right."""

    confidence: MaybeFloat
    accuracy: MaybeFloat
    n: int


class CoveragePoint(Artifact):
    """Accuracy on the share of rows that the model is surest of."""

    coverage: float
    accuracy: float


class Calibration(Artifact):
    """Whether a probability means what it says."""

    bins: list[CalibrationBin] = Field(default_factory=list)
    coverage: list[CoveragePoint] = Field(default_factory=list)


class LatencyFit(Artifact):
    """Latency said before extraction and measured after, milliseconds."""

    name: str
    predicted_ms: float
    measured_ms: float


class DynamicReport(Artifact):
    """A candidate that chooses its depth per text, against the static line at equal cost."""

    name: str
    kind: DynamicKind
    mean_latency_ms: float
    accuracy: float
    static_accuracy_at_equal_latency: MaybeFloat = None
    difference: MaybeFloat = None
    """Accuracy minus that of the static line."""
    difference_ci95: Interval | None = None
    stage_share: list[float] = Field(default_factory=list)
    """Share of the test rows that each stage answered, lightest first."""
    thresholds: list[float] = Field(default_factory=list)


class StageRecord(Artifact):
    """One stage of the run: time planned, time taken, what was learnt."""

    name: str
    planned_s: MaybeFloat = None
    wall_s: float
    learnt: str = ""


class AloneFigures(Artifact):
    """From which confidence on a candidate may answer without a person."""

    name: str
    threshold: float | None
    """Least confidence, chosen on validation rows; None where none is known to keep the risk."""
    risk: float
    """Share of wrong answers among those given that is allowed."""
    level: float
    """Probability with which it is kept."""
    coverage: float
    """Share of the test rows that are answered alone."""
    error: float | None
    """Share of wrong ones among these; None where none is answered."""


class SparseReport(Artifact):
    """Whether the neurons of the sparse candidate explain its answers, and what they stand for.

    Medians over validation rows; shares of the margin as in `ExplanationTest`.
    """

    name: str
    n_tested: int
    """Texts whose explanations were tested."""
    n_named: MaybeFloat = None
    """Neurons that an explanation names."""
    n_active: MaybeFloat = None
    """Neurons that fire in a text."""
    share_named: MaybeFloat = None
    margin_kept: MaybeFloat = None
    """With only the named neurons."""
    random_margin_kept: MaybeFloat = None
    """With only as many random ones of those that fire."""
    margin_when_removed: MaybeFloat = None
    random_margin_when_removed: MaybeFloat = None
    neurons: list[NeuronFacts] = Field(default_factory=list)
    """For each label the neuron that stands for it most clearly."""


class Analysis(Artifact):
    """`analysis.json`; dictionaries without another key go by candidate name."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    dataset: DatasetFacts | None = None
    units: UnitReport | None = None
    edges: list[EdgeSample] = Field(default_factory=list)
    removal: list[RemovalCurve] = Field(default_factory=list)
    per_label: dict[str, list[LabelQuality]] = Field(default_factory=dict)
    confusion: dict[str, Confusion] = Field(default_factory=dict)
    flips: dict[str, list[Flip]] = Field(default_factory=dict)
    calibration: dict[str, Calibration] = Field(default_factory=dict)
    mixes: dict[str, AnswerMix] = Field(default_factory=dict)
    """How every candidate's answers to the test rows are spread."""
    alone: list[AloneFigures] = Field(default_factory=list)
    """Of the recommended candidate, the full model, and the ensemble if there is one."""
    latency_fit: list[LatencyFit] = Field(default_factory=list)
    dynamic: list[DynamicReport] = Field(default_factory=list)
    sparse: SparseReport | None = None
    stages: list[StageRecord] = Field(default_factory=list)
    controls_note: dict[str, str] = Field(default_factory=dict)
    """What each control is, in one sentence."""
