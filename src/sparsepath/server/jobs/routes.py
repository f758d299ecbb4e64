"""`/api/v1/jobs`: long work that is begun, watched and ended over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from sparsepath.server.auth import Principal, asker
from sparsepath.server.jobs.begin import begin_on_upload, printed
from sparsepath.server.jobs.poc import FORMATS, KIND, PocAsked, check_installed, options_of
from sparsepath.server.jobs.state import ENDED, Job, State, delete_job, find_job, new_job
from sparsepath.server.jobs.state import list_jobs as listed
from sparsepath.server.jobs.watch import progress, read_from, tail
from sparsepath.server.problems import Problem
from sparsepath.server.service import Served, Service

LOOK_EVERY_S = 0.5
BEAT_EVERY_S = 15.0
"""A stream that has nothing to say shows that it is alive."""

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

Operator = Annotated[Principal, Depends(asker("operator"))]
Id = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]

_TABLE = {"schema": {"type": "string", "format": "binary"}}


class ProgressOut(BaseModel):
    """How far a job is."""

    step: int
    of: int
    stage: str
    told: str


class JobOut(BaseModel):
    """A job."""

    id: str
    kind: str
    state: State
    name: str
    options: dict[str, Any]
    by: str
    created: str
    started: str | None
    ended: str | None
    attempts: int = Field(description="Times that it was begun.")
    exit_code: int | None
    told: str | None = Field(description="Why it failed, with the end of its log.")
    run: str = Field(description="Its run folder, on the server.")
    progress: ProgressOut | None = None


class JobsOut(BaseModel):
    """Jobs, the oldest first."""

    jobs: list[JobOut]


@router.post(
    "/poc",
    status_code=201,
    openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(FORMATS, _TABLE)}},
)
async def begin_poc(
    request: Request, service: Served, who: Operator, asked: Annotated[PocAsked, Query()]
) -> JobOut:
    """Begin a PoC on the table that is the body; it waits where others run."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in FORMATS:
        known = ", ".join(FORMATS)
        raise Problem(415, "content_type", "the body is no table", fix=f"send one of: {known}")
    check_installed()
    options = options_of(asked, FORMATS[kind])
    name = printed(asked.name, "table")
    job = new_job(KIND, name, options, by=who.name, home=service.jobs.home)
    await begin_on_upload(request, service, job, f"table.{FORMATS[kind]}")
    return told_job(service, job)


@router.get("")
async def list_jobs(service: Served, _who: Operator) -> JobsOut:
    """List jobs, the oldest first."""
    jobs = await asyncio.to_thread(listed, service.database)
    return JobsOut(jobs=[told_job(service, job) for job in jobs])


@router.get("/{id}")
async def show_job(service: Served, _who: Operator, id: Id) -> JobOut:
    """Say how a job goes."""
    return told_job(service, await found_job(service, id))


@router.get("/{id}/events", response_class=StreamingResponse)
async def watch_job(
    service: Served,
    _who: Operator,
    id: Id,
    last_event_id: Annotated[str, Header(max_length=20)] = "0",
) -> StreamingResponse:
    """Send a job's state and the lines of its log as they come, as server-sent events."""
    await found_job(service, id)
    offset = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else 0
    events = _events(service, id, min(offset, 2**62))
    return StreamingResponse(events, media_type="text/event-stream")


@router.post("/{id}/cancel")
async def cancel_job(service: Served, _who: Operator, id: Id) -> JobOut:
    """End a job; what it has done is kept in its run folder."""
    job = await found_job(service, id)
    if not await asyncio.to_thread(service.jobs.cancel, job):
        again = await found_job(service, id)
        if again.state in ENDED:
            raise Problem(409, "ended", f"the job is {again.state} already", fix="nothing to do")
        await asyncio.to_thread(service.jobs.cancel, again)
    service.jobs.wake()
    return told_job(service, await found_job(service, id))


@router.delete("/{id}", status_code=204)
async def forget_job(service: Served, who: Operator, id: Id) -> None:
    """Delete a job that has ended, with its table, its log and its run folder."""
    job = await found_job(service, id)
    if not await asyncio.to_thread(delete_job, service.database, job, by=who.name):
        raise Problem(409, "not_ended", f"the job is {job.state}", fix="cancel it first")
    await asyncio.to_thread(service.jobs.clear, id)


async def _events(service: Service, id_: str, offset: int) -> AsyncIterator[str]:
    """Send what changes, until the job has ended or the server stops."""
    told, quiet_s = "", 0.0
    while not service.is_leaving():
        job = await asyncio.to_thread(find_job, service.database, id_)
        if job is None:
            break
        while True:
            lines, offset = read_from(service.jobs.folder(id_), offset)
            if not lines:
                break
            yield _event("log", {"text": lines}, offset)
        state = told_job(service, job).model_dump_json()
        if state != told:
            told, quiet_s = state, 0.0
            yield f"event: job\ndata: {state}\n\n"
        if job.state in ENDED:
            yield _event("end", {"state": job.state})
            return
        await asyncio.sleep(LOOK_EVERY_S)
        quiet_s += LOOK_EVERY_S
        if quiet_s >= BEAT_EVERY_S:
            quiet_s = 0.0
            yield ": alive\n\n"


def _event(name: str, content: dict[str, Any], id_: int | None = None) -> str:
    number = "" if id_ is None else f"id: {id_}\n"
    return f"{number}event: {name}\ndata: {json.dumps(content)}\n\n"


async def found_job(service: Service, id_: str) -> Job:
    """Find a job.

    Raises:
        Problem: if there is none.
    """
    job = await asyncio.to_thread(find_job, service.database, id_)
    if job is None:
        raise Problem(404, "no_job", "there is no such job", fix="see /api/v1/jobs")
    return job


def told_job(service: Service, job: Job) -> JobOut:
    """Write a job; how far it is stands in its log, where that is on this machine."""
    folder = service.jobs.folder(job.id)
    is_here = (job.host, job.folder) == service.jobs.home and job.state != "queued"
    found = progress(tail(folder)) if is_here else None
    facts = {name: value for name, value in job._asdict().items() if name in JobOut.model_fields}
    return JobOut(
        **(facts | {"options": json.loads(job.options)["asked"]}),
        run=f"{job.folder}/jobs/{job.id}/run",
        progress=None if found is None else ProgressOut(**found._asdict()),
    )
