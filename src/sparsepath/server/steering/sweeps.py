"""`/api/v1/steering/sweeps`: strengths are measured by a job; its figures are read here."""

import asyncio
import json
import re
from functools import partial
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi import Path as InPath
from pydantic import BaseModel, Field

from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.steering_sweep import ClassSweep, Sweep
from sparsepath.artifacts.store import read_json
from sparsepath.config import SweepOptions
from sparsepath.errors import ConfigError, MissingExtraError
from sparsepath.evaluate.steering_strengths import Steerable, edits_of, read_strengths
from sparsepath.server.auth import Principal, asker
from sparsepath.server.jobs.begin import begin_on_files
from sparsepath.server.jobs.routes import JobOut, told_job
from sparsepath.server.jobs.state import Job, find_job, new_job
from sparsepath.server.jobs.sweep import KIND, RESULT, SweepAsked, options_of, write_inputs
from sparsepath.server.jobs.watch import read_from
from sparsepath.server.problems import Problem
from sparsepath.server.service import Served, Service
from sparsepath.server.steering.part import check_unchanged
from sparsepath.server.steering.permission import Wanted, permitted
from sparsepath.server.steering.subject import Subject
from sparsepath.server.steering.told import told_lacks

MAX_STRENGTHS = 12
"""Strengths of one sweep, at most."""

_POINT = re.compile(r"^  (?:unsteered|neuron|random neuron)\b", re.MULTILINE)
"""How the lines of a log begin that tell of points."""

router = APIRouter(prefix="/api/v1/steering", tags=["steering"])

Operator = Annotated[Principal, Depends(asker("operator"))]
Id = Annotated[str, InPath(pattern="^[0-9a-f]{16}$")]


class SweepOut(BaseModel):
    """A sweep, and what it found."""

    job: JobOut
    n_points: int = Field(description="Points that are measured by now.")
    of: int = Field(description="Points of the whole sweep.")
    is_of_model: bool = Field(description="Whether it was measured on the weights served now.")
    sweep: Sweep | None = Field(description="Of a language model, once it is done.")
    class_sweep: ClassSweep | None = Field(description="Of a classifier, once it is done.")


@router.post("/sweeps", status_code=201)
async def begin_sweep(
    asked: SweepAsked, request: Request, service: Served, who: Operator
) -> SweepOut:
    """Begin to measure strengths: how often the concept comes, and what else changes."""
    subject = service.steering.known
    _check_asked(service, asked, subject)
    await check_unchanged(service.folder)
    neurons, edits = await asyncio.to_thread(_strengths, subject, asked)
    for some in edits:
        await permitted(service, Wanted(None, some, asked.use), who, request.state.request_id)
    model = service.model
    options = options_of(asked, neurons, subject.folder, model.precision)
    job = new_job(KIND, ", ".join(neurons), options, by=who.name, home=service.jobs.home)
    await begin_on_files(service, job, "the sweep", partial(write_inputs, asked))
    return _out(service, job)


@router.get("/sweeps/{id}")
async def show_sweep(id: Id, service: Served, _who: Operator) -> SweepOut:
    """Say how a sweep goes, and once it is done, what it found."""
    job = await asyncio.to_thread(find_job, service.database, id)
    if job is None or job.kind != KIND:
        raise Problem(404, "no_job", "there is no such sweep", fix="see /api/v1/jobs")
    return await asyncio.to_thread(_out, service, job)


def _check_asked(service: Service, asked: SweepAsked, subject: Subject) -> None:
    """See that what is asked says something about the model that is served.

    Raises:
        MissingExtraError: if this server lacks what is needed.
        Problem: if it does not.
    """
    if subject.kind == "language-model":
        if not asked.words or asked.table is not None or asked.target is not None:
            raise Problem(
                422, "invalid", "a language model is judged by words", fix="give `words` alone"
            )
        return
    if asked.words or asked.table is None or asked.target is None:
        raise Problem(
            422,
            "invalid",
            "a classifier is measured on a labelled table",
            fix="give `table` and `target`, and no `words`",
        )
    unknown = {asked.target, *asked.sources} - set(service.model.labels)
    if unknown:
        raise Problem(422, "no_label", f"no label {min(unknown)!r}", fix="see /api/v1/models")
    for lack in told_lacks(service):
        if lack.what == "sweep":
            raise MissingExtraError(lack.why, extra="train")


def _strengths(subject: Subject, asked: SweepAsked) -> tuple[list[str], list[tuple[Edit, ...]]]:
    """Give the neurons' names, and the edits of each strength.

    Raises:
        Problem: if one does not fit the model, or is more than it bears.
    """
    with subject.told():
        strengths = read_strengths(asked.strengths)
        if len(strengths) > MAX_STRENGTHS:
            raise ConfigError(f"{len(strengths)} strengths", hint=f"give {MAX_STRENGTHS} at most")
        options = SweepOptions(
            operation=asked.operation,
            positions=asked.positions,
            is_dense_allowed=asked.dense_sites,
        )
        places = [subject.neuron(name)[0] for name in asked.neurons]
        model = Steerable(subject.sites, subject.ranges)
        found = [tuple(edits_of(places, one, options, model)) for one in strengths]
        for edits in found:
            subject.check(edits, is_dense_allowed=asked.dense_sites)
        return [place.name for place in places], found


def _out(service: Service, job: Job) -> SweepOut:
    options = json.loads(job.options)
    asked = options["asked"]
    n = len(asked["strengths"].split(","))
    path = service.jobs.folder(job.id) / "run" / RESULT
    sweep: Sweep | None = None
    class_sweep: ClassSweep | None = None
    if job.state == "done" and path.is_file():
        if options["is_classifier"]:
            class_sweep = read_json(path, ClassSweep)
        else:
            sweep = read_json(path, Sweep)
    found = sweep or class_sweep
    name = Path(options["model"]).name
    log, _ = read_from(service.jobs.folder(job.id), 0)
    subject = service.steering.subject
    return SweepOut(
        job=told_job(service, job),
        n_points=len(_POINT.findall(log)),
        of=1 + n * (1 + asked["random_neurons"]),
        is_of_model=found is not None
        and subject is not None
        and found.model_sha256 == subject.sha256,
        sweep=sweep and sweep.model_copy(update={"model": name}),
        class_sweep=class_sweep
        and class_sweep.model_copy(update={"model": name, "table": asked["format"]}),
    )
