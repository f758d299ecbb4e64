"""What `sparsepath concepts measure` found of the features of a model."""

from typing import Final, Literal, get_args

from pydantic import Field

from sparsepath.artifacts.base import Artifact, Interval

METRICS_SCHEMA: Final = 1
"""Version of the file; raised when a key is renamed or removed."""

Metric = Literal[
    "sparsity",
    "loss-recovered",
    "sparse-probing",
    "absorption",
    "tpp",
    "scr",
    "disentanglement",
]
"""What can be measured."""

METRICS: Final[tuple[Metric, ...]] = get_args(Metric)

OF_TEXT: Final[tuple[Metric, ...]] = ("sparsity", "loss-recovered")
"""Metrics that need text and no labels."""

OF_TWO_LABELS: Final[tuple[Metric, ...]] = ("scr", "disentanglement")
"""Metrics that need a second label of each row."""


class MetricRow(Artifact):
    """One figure."""

    site: str
    """Such as `L02`, or `L02.attn_in`."""
    metric: Metric
    figure: str
    """What of the metric, such as `k = 1` or `dead share`."""
    value: float | None
    """In the unit of the metric; None where it is not defined, `note` says why."""
    ci95: Interval | None
    """Bootstrap over rows; None where rows do not give one."""
    n: int
    """Rows behind it: texts, or pairs of them."""
    controls: dict[str, float] = Field(default_factory=dict)
    """Where the answer is known, or what the features are compared with."""
    parts: dict[str, float] = Field(default_factory=dict)
    """By class, or of what the value is made."""
    note: str = ""


class FeatureMetrics(Artifact):
    """All figures of one model and one table or corpus."""

    schema_version: int = Field(default=METRICS_SCHEMA, alias="schema")
    model: str
    model_sha256: str
    data: str
    n_texts: int
    n_train: int | None
    """Rows on which features were chosen; None where nothing needs labels."""
    n_test: int | None
    """Rows on which figures were measured."""
    labels: tuple[str, ...]
    """Classes of the table."""
    length: int
    """Tokens of a text at most."""
    k: dict[str, int]
    """Entries that fire at a token at most, by site."""
    is_sparse: bool
    """False: the model is dense."""
    dense_k: int | None
    """Largest entries of a dense model that were taken as its features; None: all."""
    autoencoder: str | None = None
    """Sparse autoencoder whose latents were measured; None: neurons."""
    rows: tuple[MetricRow, ...]
    seed: int
    notes: tuple[str, ...]
    """What was left out."""
    created: str
    versions: dict[str, str]

    def of(self, metric: Metric, figure: str | None = None) -> list[MetricRow]:
        """Give the rows of a metric, of all its figures or of one."""
        return [row for row in self.rows if row.metric == metric and figure in (None, row.figure)]
