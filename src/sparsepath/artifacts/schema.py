"""What `run.json` and `results.json` of a run folder hold, key by key.

Unknown keys are refused, so that a file of another program or of a newer version is noticed
instead of half read. Units are in the field names: `_ms` milliseconds, `_s` seconds, `_bytes`
bytes, `_nats` nats; shares and accuracies run from 0 to 1. A value that was not measured is
None, never zero.
"""

from typing import Literal

from pydantic import Field, JsonValue

from sparsepath.artifacts.base import SCHEMA, Artifact, Interval, MaybeFloat

Kind = Literal["full", "submodel", "dynamic", "topk", "ensemble", "control"]
Precision = Literal["fp32", "int8"]
Status = Literal["running", "done", "failed"]


class RunManifest(Artifact):
    """`run.json`: what was run, on what, with which versions, and how it ended."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    command: list[str]
    """The command line, one item an argument."""
    config: dict[str, JsonValue] = Field(default_factory=dict)
    """Every option after defaults were filled in (`lang`, `minutes`, `threads`, ...)."""
    versions: dict[str, str] = Field(default_factory=dict)
    data_sha256: str | None = None
    """Hash of the table, None until it has been read."""
    data_path: str | None = None
    base_model: str | None = None
    """Name or origin of the encoder that was fine-tuned."""
    seeds: dict[str, int] = Field(default_factory=dict)
    machine: dict[str, JsonValue] = Field(default_factory=dict)
    created_utc: str
    """ISO 8601, as `provenance.now_utc` writes it."""
    finished_utc: str | None = None
    wall_s: float = 0.0
    """Seconds of work, summed over interrupted runs."""
    status: Status = "running"
    error: str | None = None
    """Why the run failed, in the words shown to the user."""


class DataSummary(Artifact):
    """How many rows took part, and the labels in class order."""

    rows_train: int
    rows_valid: int
    rows_test: int
    labels: list[str]
    sha256: str


class Quality(Artifact):
    """Quality on test rows that no candidate was trained or chosen on."""

    accuracy: float
    accuracy_ci95: Interval
    macro_f1: float
    nll_nats: MaybeFloat = None
    """Mean negative log likelihood of the true label."""
    ece: MaybeFloat = None
    """Expected calibration error, a share."""
    accuracy_valid: MaybeFloat = None
    """Accuracy on the validation rows, which choices were made on."""


class Cost(Artifact):
    """What one answer costs: batch 1, text in, probabilities out."""

    parameters: int
    size_bytes: int
    flops_per_example: int | None = None
    latency_ms_p50: float
    latency_ms_p95: float
    examples_per_second: float
    peak_rss_bytes: int | None = None
    """Peak memory of a fresh process that loads the model and answers."""
    latency_ms_mean: MaybeFloat = None
    latency_ms_predicted: MaybeFloat = None
    """What the latency model said before the sub-model was extracted, at the speed that the machine
    had when the full model and controls were timed beside it."""
    tokenize_ms_p50: MaybeFloat = None
    """The part of the latency spent on tokenising."""


class Relative(Artifact):
    """The candidate against the full model; `accuracy_change` below zero is a loss."""

    speedup: float
    speedup_ci95: Interval
    size_ratio: float
    """Size of this candidate over the size of the full model; 0.2 is five times smaller."""
    accuracy_change: float
    accuracy_change_ci95: Interval | None = None
    """Paired interval: both models answered the same rows."""
    accuracy_change_p: MaybeFloat = None
    """Two-sided p of an exact McNemar test."""


class Shape(Artifact):
    """What is left of each kept layer."""

    layers: list[tuple[int, int]]
    """(attention heads, MLP neurons) of each kept layer, input to output."""
    vocabulary: int
    """Rows of the embedding table."""


class Candidate(Artifact):
    """One model that was compared."""

    name: str
    kind: Kind
    folder: str | None = None
    """Relative to the run folder, with forward slashes; None where no model was kept."""
    quality: Quality
    cost: Cost
    relative: Relative
    control: bool = False
    """True for what is measured only to be compared with, never recommended."""
    parent: str | None = None
    """Candidate that this one was cut from."""
    precision: Precision = "fp32"
    shape: Shape | None = None
    pareto: bool = False
    """No candidate of the run is both faster and more accurate."""
    target: str | None = None
    """Why it was made, such as `2.0 ms`."""
    note: str | None = None

    @property
    def is_control(self) -> bool:
        """Whether it stands outside the choice."""
        return self.control or self.kind == "control"


class Recommended(Artifact):
    """Which candidate to take, by which rule, and why."""

    name: str
    rule: str
    why: str


class Results(Artifact):
    """`results.json`: every candidate's quality and cost."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    data: DataSummary
    candidates: list[Candidate] = Field(default_factory=list)
    recommended: Recommended | None = None

    def candidate(self, name: str) -> Candidate | None:
        """The candidate called `name`, or None."""
        return next((item for item in self.candidates if item.name == name), None)
