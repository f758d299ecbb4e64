"""One line of `explanations.jsonl`: why a model answered one row as it did, with its own test.

The margin is the logit of the answer minus the logit of the runner-up, dimensionless. The test
keeps only the named units (the rest is replaced by its mean), then removes only them, and does
the same with 20 random sets of equal size.
"""

from typing import Literal

from pydantic import Field

from sparsepath.artifacts.base import SCHEMA, Artifact


class TokenScore(Artifact):
    """A token and how much it spoke for the answer; below zero for the runner-up."""

    text: str
    score: float


class NamedScore(Artifact):
    """A unit or an edge by name, and how much it spoke for the answer."""

    name: str
    score: float


class ExplanationTest(Artifact):
    """What happens to the answer when only the named pathway is kept, or removed."""

    margin_kept: float
    """Share of the margin that remains; 0 is none of the units, 1 all of them."""
    margin_kept_raw: float
    """Margin with only the pathway over the margin of the whole model."""
    margin_when_removed: float
    """Share of the margin that remains when the pathway is removed."""
    units_decide: bool = True
    """Whether the units change the margin so much that these shares mean something; elsewhere the
    word embeddings decide."""
    confidence_kept: float
    """Probability of the answer with only the pathway."""
    confidence_removed: float
    """Probability of the answer without the pathway."""
    random_margin_kept: list[float] = Field(default_factory=list)
    random_confidence_kept: list[float] = Field(default_factory=list)
    random_margin_when_removed: list[float] = Field(default_factory=list)


class ExplanationRecord(Artifact):
    """An audit record of one explained row."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    row_id: int
    text: str
    truth: str | None = None
    predicted: str
    runner_up: str
    probability: float
    margin: float
    tokens: list[TokenScore]
    units: list[NamedScore] = Field(default_factory=list)
    """The strongest units of the pathway, at most 20, such as `L02.H05`."""
    n_units_kept: int
    share_units_kept: float
    edges: list[NamedScore] = Field(default_factory=list)
    """The strongest attention edges, at most 10, such as `12>17@L02.H05`."""
    test: ExplanationTest
    model_sha256: str
    data_sha256: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    created_utc: str
