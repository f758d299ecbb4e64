"""`/api/v1/jobs/catalogue`: the neurons of the model that is served are catalogued by a job."""

import asyncio
import json
from typing import Annotated

from fastapi import APIRouter, Query, Request

from sparsepath.server.jobs.begin import begin_on_upload, printed
from sparsepath.server.jobs.catalogue import (
    KIND,
    TABLES,
    TEXTS,
    CatalogueAsked,
    options_of,
)
from sparsepath.server.jobs.poc import check_installed
from sparsepath.server.jobs.routes import JobOut, Operator, told_job
from sparsepath.server.jobs.state import ENDED, list_jobs, new_job
from sparsepath.server.language import LanguageModel
from sparsepath.server.problems import Problem
from sparsepath.server.service import Served, Service

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

_FILE = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/catalogue",
    status_code=201,
    openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(TABLES, _FILE)}},
)
async def begin_catalogue(
    request: Request, service: Served, who: Operator, asked: Annotated[CatalogueAsked, Query()]
) -> JobOut:
    """Catalogue the neurons of the served model on the corpus that is the body.

    A language model reads JSON lines with a `text` each, a classifier a table. The
    catalogue is shown once it is done.
    """
    ending = _ending(service, request.headers.get("content-type", ""))
    check_installed("a catalogue")
    options = options_of(asked, ending, service.model.folder)
    await asyncio.to_thread(_check_alone, service, options["model"])
    name = printed(asked.name, "catalogue")
    job = new_job(KIND, name, options, by=who.name, home=service.jobs.home)
    await begin_on_upload(request, service, job, f"corpus.{ending}")
    return told_job(service, job)


def _ending(service: Service, header: str) -> str:
    """Give the ending of a corpus' file.

    Raises:
        Problem: if the model that is served cannot read it.
    """
    known = TEXTS if isinstance(service.model, LanguageModel) else TABLES
    kind = header.partition(";")[0].strip().lower()
    if kind not in known:
        told = f"the {service.model.kind} that is served reads no {kind[:60] or 'unnamed type'!r}"
        raise Problem(415, "content_type", told, fix=f"send one of: {', '.join(known)}")
    return known[kind]


def _check_alone(service: Service, model: str) -> None:
    """See that no other job writes the catalogue of the same model.

    Raises:
        Problem: if one does.
    """
    for job in list_jobs(service.database, service.jobs.home):
        if job.kind != KIND or job.state in ENDED:
            continue
        if json.loads(job.options)["model"] == model:
            told = f"job {job.id} catalogues this model already"
            raise Problem(409, "going_on", told, fix="wait for it, or cancel it first")
