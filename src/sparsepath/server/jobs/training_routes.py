"""`/api/v1/jobs/training`: trainings are begun; any job that goes on from files may pause."""

import asyncio
from functools import partial

from fastapi import APIRouter

from sparsepath.server.jobs import catalogue
from sparsepath.server.jobs.begin import begin_on_files, printed
from sparsepath.server.jobs.poc import check_installed
from sparsepath.server.jobs.routes import Id, JobOut, Operator, found_job, told_job
from sparsepath.server.jobs.state import new_job
from sparsepath.server.jobs.training import KIND, TrainingAsked, options_of, write_recipe
from sparsepath.server.problems import Problem
from sparsepath.server.service import Served

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

_PAUSING = (KIND, catalogue.KIND)


@router.post("/training", status_code=201)
async def begin_training(asked: TrainingAsked, service: Served, who: Operator) -> JobOut:
    """Begin a training by a recipe on built-in data; it waits where others run."""
    check_installed()
    name = printed(asked.name, "training")
    job = new_job(KIND, name, options_of(asked), by=who.name, home=service.jobs.home)
    await begin_on_files(service, job, "the recipe", partial(write_recipe, asked))
    return told_job(service, job)


@router.post("/{id}/pause")
async def pause_job(service: Served, _who: Operator, id: Id) -> JobOut:
    """Let a training or a catalogue keep what is done and stop; `resume` goes on from there."""
    job = await found_job(service, id)
    if job.kind not in _PAUSING:
        raise Problem(409, "no_pause", f"a job of the kind {job.kind} cannot pause", fix="cancel")
    if not await asyncio.to_thread(service.jobs.pause, job):
        raise Problem(409, "not_running", f"the job is {job.state}", fix="look at it again")
    service.jobs.wake()
    return told_job(service, await found_job(service, id))


@router.post("/{id}/resume")
async def resume_job(service: Served, _who: Operator, id: Id) -> JobOut:
    """Let a paused job go on from what is done, when it is its turn."""
    job = await found_job(service, id)
    if not await asyncio.to_thread(service.jobs.resume, job):
        raise Problem(409, "not_paused", f"the job is {job.state}", fix="look at it again")
    service.jobs.wake()
    return told_job(service, await found_job(service, id))
