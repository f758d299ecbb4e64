"""`/api/v1/trainings`: trainings of this server and of its folder of runs, as they go."""

import asyncio
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from sparsepath.artifacts.training_record import RECORD_FILE
from sparsepath.server.auth import Principal, asker
from sparsepath.server.jobs.routes import JobOut, told_job
from sparsepath.server.jobs.state import Job, list_jobs
from sparsepath.server.jobs.training import KIND
from sparsepath.server.problems import Problem
from sparsepath.server.service import Served, Service
from sparsepath.server.training_record import TrainingCurve, read_curve

router = APIRouter(prefix="/api/v1/trainings", tags=["trainings"])

Operator = Annotated[Principal, Depends(asker("operator"))]


class TrainingLine(BaseModel):
    """A training in a list."""

    id: str = Field(description="By which it is asked for: of its job, or the folder's name.")
    name: str
    job: JobOut | None = Field(description="null: it was begun on the command line.")


class TrainingList(BaseModel):
    """Trainings, the newest job first, then those of the command line by name."""

    trainings: list[TrainingLine]


class TrainingOut(TrainingLine):
    """A training and how it goes."""

    curve: TrainingCurve


@router.get("")
async def list_trainings(service: Served, _who: Operator) -> TrainingList:
    """List trainings that can be looked at."""
    found = await asyncio.to_thread(_found, service)
    return TrainingList(trainings=[line for line, _ in found])


@router.get("/{id}")
async def show_training(id: str, service: Served, _who: Operator) -> TrainingOut:
    """Give a training's losses, rates, neurons and events, and the time that is left."""
    return await asyncio.to_thread(_shown, service, id)


def _shown(service: Service, id_: str) -> TrainingOut:
    for line, folder in _found(service):
        if line.id == id_:
            return TrainingOut(**dict(line), curve=read_curve(folder))
    raise Problem(404, "no_training", "there is no such training", fix="see /api/v1/trainings")


def _found(service: Service) -> list[tuple[TrainingLine, Path]]:
    """Find trainings; a client's name is only compared, no path is made of it."""
    jobs = [job for job in list_jobs(service.database, service.jobs.home) if job.kind == KIND]
    return [_of_job(service, job) for job in reversed(jobs)] + [
        (TrainingLine(id=path.name, name=path.name, job=None), path)
        for path in service.library.folders(service.options.store)
        if (path / RECORD_FILE).is_file()
    ]


def _of_job(service: Service, job: Job) -> tuple[TrainingLine, Path]:
    folder = service.jobs.folder(job.id) / "run"
    return TrainingLine(id=job.id, name=job.name, job=told_job(service, job)), folder
