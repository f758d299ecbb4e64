"""What a PoC remembers between its stages, so that an interrupted one goes on.

The state file is replaced in one step after each stage; large things lie beside it.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from sparsepath.artifacts.analysis import StageRecord
from sparsepath.artifacts.schema import Kind, Precision
from sparsepath.artifacts.store import read_json, write_json_atomic

STATE_FILE = "state.json"
WORK_FOLDER = "work"


class Draft(BaseModel):
    """A candidate before it is measured."""

    model_config = ConfigDict(extra="forbid")

    name: str
    kind: Kind
    folder: str | None
    """Relative to the run folder; None for a model that only lives in memory."""
    precision: Precision = "fp32"
    parent: str | None = None
    control: str | None = None
    """For a control, which one: a key of `notes.CONTROL_NOTES`."""
    target: str | None = None
    note: str | None = None
    predicted_ms: float | None = None
    """Latency that the model of latencies expects, from text to probabilities."""
    accuracy_valid: float | None = None
    nll_valid: float | None = None
    matches: str | None = None
    """For a control, the sub-model that it is compared with."""
    is_distilled: bool = False
    thresholds: list[float] = Field(default_factory=list)
    stages: list[str] = Field(default_factory=list)
    """For a dynamic candidate, the names of what answers, lightest first."""


class PocState(BaseModel):
    """How far a run is."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    options: dict[str, JsonValue]
    data_sha256: str | None = None
    stages: list[StageRecord] = Field(default_factory=list)
    drafts: list[Draft] = Field(default_factory=list)
    facts: dict[str, JsonValue] = Field(default_factory=dict)
    used_s: float = 0.0
    created_utc: str

    def is_done(self, stage: str) -> bool:
        """Say whether a stage was finished."""
        return any(record.name == stage for record in self.stages)

    def draft(self, name: str) -> Draft:
        """Give the candidate of that name, which must exist."""
        return next(draft for draft in self.drafts if draft.name == name)

    def put(self, draft: Draft) -> None:
        """Add a candidate, in place of an earlier one of the same name."""
        names = [item.name for item in self.drafts]
        if draft.name in names:
            self.drafts[names.index(draft.name)] = draft
        else:
            self.drafts.append(draft)


def load_state(folder: Path) -> PocState | None:
    """Read the state of a run folder; None when there is none."""
    path = folder / WORK_FOLDER / STATE_FILE
    return read_json(path, PocState) if path.exists() else None


def save_state(folder: Path, state: PocState) -> None:
    """Replace the state of a run folder."""
    write_json_atomic(folder / WORK_FOLDER / STATE_FILE, state)
