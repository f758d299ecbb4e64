"""`/api/v1/runs`: runs of `sparsepath poc`, and what each found."""

from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from sparsepath.artifacts.analysis import AloneFigures, Analysis, DatasetFacts, LabelQuality
from sparsepath.artifacts.answers import ANSWERS_FILE
from sparsepath.artifacts.base import Artifact
from sparsepath.artifacts.schema import Results, RunManifest, Status
from sparsepath.artifacts.store import read_json
from sparsepath.errors import RunError
from sparsepath.runtime.locate import RESULTS
from sparsepath.server.auth import Principal, asker
from sparsepath.server.library import MANIFEST, Place
from sparsepath.server.problems import Problem
from sparsepath.server.service import Served, Service

ANALYSIS = "analysis.json"

ArtifactT = TypeVar("ArtifactT", bound=Artifact)

router = APIRouter(prefix="/api/v1/runs", tags=["runs"])


class RunLine(BaseModel):
    """A run in a list."""

    name: str
    is_served: bool = Field(description="Whether the model that answers comes from it.")
    status: Status | None = Field(description="null: not known.")
    created_utc: str | None
    rows_test: int | None
    n_labels: int | None
    n_candidates: int
    recommended: str | None = Field(description="Name of the recommended candidate.")
    accuracy: float | None = Field(description="Of that candidate on test rows, 0 to 1.")
    speedup: float | None = Field(description="Times faster than the full model.")
    trouble: str | None = Field(description="Why it cannot be read.")


class RunList(BaseModel):
    """Every run that can be opened."""

    runs: list[RunLine]


class RunDetails(BaseModel):
    """What a run found."""

    name: str
    is_served: bool
    status: Status | None
    error: str | None
    created_utc: str | None
    wall_s: float | None
    base_model: str | None
    data_name: str | None = Field(description="Name of the table, without its folder.")
    results: Results | None = Field(description="null: the run has not come so far.")
    dataset: DatasetFacts | None
    per_label: dict[str, list[LabelQuality]]
    controls_note: dict[str, str]
    alone: list[AloneFigures]
    has_answers: bool = Field(description="Whether every answer was kept, for comparing.")


def open_run(service: Service, name: str) -> Place:
    """Find a run by its name.

    Raises:
        Problem: if there is none.
    """
    for place in service.library.runs():
        if place.name == name:
            return place
    raise Problem(404, "run_not_found", "there is no such run", fix="see /api/v1/runs for names")


@router.get("")
def list_runs(service: Served, _who: Annotated[Principal, Depends(asker("viewer"))]) -> RunList:
    """List the runs that can be opened, the served model's own one first."""
    return RunList(runs=[_line(place) for place in service.library.runs()])


@router.get("/{run}")
def show_run(
    run: str, service: Served, _who: Annotated[Principal, Depends(asker("viewer"))]
) -> RunDetails:
    """Give every candidate of a run with its quality and cost, and what else was measured."""
    place = open_run(service, run)
    manifest = maybe_read(place.path, MANIFEST, RunManifest)
    analysis = maybe_read(place.path, ANALYSIS, Analysis) or Analysis()
    source = manifest.data_path if manifest else None
    return RunDetails(
        name=place.name,
        is_served=place.is_served,
        status=manifest.status if manifest else None,
        error=manifest.error if manifest else None,
        created_utc=manifest.created_utc if manifest else None,
        wall_s=manifest.wall_s if manifest else None,
        base_model=manifest.base_model if manifest else None,
        data_name=Path(source).name if source else None,
        results=maybe_read(place.path, RESULTS, Results),
        dataset=analysis.dataset,
        per_label=analysis.per_label,
        controls_note=analysis.controls_note,
        alone=analysis.alone,
        has_answers=(place.path / ANSWERS_FILE).is_file(),
    )


def maybe_read(folder: Path, name: str, kind: type[ArtifactT]) -> ArtifactT | None:
    """Read a file of a run that may not be there yet; errors do not tell where it lies.

    Raises:
        RunError: if it cannot be read.
    """
    path = folder / name
    try:
        return read_json(path, kind) if path.is_file() else None
    except RunError as err:
        told = err.message.replace(str(folder), folder.name)
        raise RunError(told, hint=err.hint.replace(str(folder), folder.name)) from err


def _line(place: Place) -> RunLine:
    """Sum a run up; one that cannot be read says why."""
    manifest, results, trouble = None, None, None
    try:
        manifest = maybe_read(place.path, MANIFEST, RunManifest)
        results = maybe_read(place.path, RESULTS, Results)
    except RunError as err:
        trouble = err.message
    chosen = None
    if results is not None and results.recommended is not None:
        chosen = results.candidate(results.recommended.name)
    return RunLine(
        name=place.name,
        is_served=place.is_served,
        status=manifest.status if manifest else None,
        created_utc=manifest.created_utc if manifest else None,
        rows_test=results.data.rows_test if results else None,
        n_labels=len(results.data.labels) if results else None,
        n_candidates=len(results.candidates) if results else 0,
        recommended=chosen.name if chosen else None,
        accuracy=chosen.quality.accuracy if chosen else None,
        speedup=chosen.relative.speedup if chosen else None,
        trouble=trouble,
    )
