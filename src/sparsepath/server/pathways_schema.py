"""What `/api/v1/runs/{run}/pathways` tells."""

from typing import Literal

from pydantic import BaseModel, Field

from sparsepath.artifacts.analysis import RemovalCurve
from sparsepath.artifacts.schema import Kind, Precision

Why = Literal["depth-by-text", "no-parts", "broken"]
"""Depth is chosen for each text; no file says what it kept; the file cannot be read."""

Missing = Literal["results", "importance", "parts"]


class PartsLayer(BaseModel):
    """A layer of the full model."""

    layer: int = Field(description="Its number in the first model.")
    heads: list[int] = Field(description="Numbers of its attention heads.")
    n_neurons: int = Field(description="MLP neurons.")


class Importance(BaseModel):
    """Importance by one method, as shares of its strongest head and strongest neuron, 0 to 1."""

    method: str
    heads: list[list[float | None]] = Field(description="A row a layer, a column a head.")
    neurons: list[list[float | None]] = Field(
        description="A row a layer, a column a group of equally many neurons, the highest first."
    )


class MeasuredPoint(BaseModel):
    """A measured candidate, and what it kept of the full model."""

    name: str
    kind: Kind
    precision: Precision
    parameters: int
    size_bytes: int
    latency_ms_p50: float
    latency_ms_p95: float
    speedup: float
    speedup_ci95: tuple[float, float]
    accuracy: float
    accuracy_ci95: tuple[float, float]
    accuracy_change: float
    accuracy_change_ci95: tuple[float, float] | None
    kept: list[PartsLayer] = Field(description="Input to output; a layer not in it was removed.")
    files: list[str] = Field(description="Where this stands, inside the run folder.")


class Unplaced(BaseModel):
    """A candidate whose parts cannot be shown."""

    name: str
    why: Why


class PathwaysOut(BaseModel):
    """The parts of a run's full model, and which of them each measured candidate kept."""

    run: str
    recommended: str | None
    layers: list[PartsLayer]
    importance: list[Importance] = Field(description="A method each.")
    points: list[MeasuredPoint] = Field(description="The smallest first.")
    unplaced: list[Unplaced]
    removal: list[RemovalCurve] = Field(
        description="Accuracy on validation rows as units left in an order, without training."
    )
    missing: list[Missing] = Field(description="What the run folder does not hold.")
