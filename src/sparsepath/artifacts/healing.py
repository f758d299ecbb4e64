"""`healing.json` of a converted classifier's folder: how it became sparse, and what that cost.

Quality is measured on test rows, which nothing was fitted to or chosen by.
"""

from typing import Literal

from pydantic import Field

from sparsepath.artifacts.base import SCHEMA, Artifact, Interval

HEALING_FILE = "healing.json"
"""Name of the file in a model folder."""

StageName = Literal["parent", "unhealed", "healed"]
"""The dense model; the sparse one with the same weights; the sparse one after its training."""


class HealingLook(Artifact):
    """One look at held-out rows while k fell."""

    step: int
    """Steps done."""
    kept: dict[str, int]
    """Entries that each sparse site kept then, by layer and site, such as `L00.block_out`."""
    loss_nats: float
    accuracy: float


class HealingStage(Artifact):
    """Quality of one model on the test rows."""

    name: StageName
    accuracy: float
    """Share of rows that are right, 0 to 1."""
    accuracy_ci95: Interval
    loss_nats: float
    """Mean negative log-likelihood of the truth, in nats."""
    agreement: float
    """Share of rows that get the parent's label, 0 to 1."""


class HealingFile(Artifact):
    """A conversion and its price."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    parent: str
    """The dense model, as it was named."""
    kept: dict[str, int]
    """Entries that each sparse site keeps."""
    n_steps: int
    """Steps of the training."""
    n_train: int
    """Training rows."""
    n_test: int
    """Rows of the stages."""
    looks: list[HealingLook]
    stages: list[HealingStage]
    """Parent, unhealed, healed."""
    accuracy_change: float
    """Accuracy of the healed model minus the parent's on the same rows, -1 to 1."""
    accuracy_change_ci95: Interval
    """Its paired interval."""
