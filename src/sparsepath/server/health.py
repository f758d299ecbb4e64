"""`/healthz`, `/readyz`, `/metrics`: for whoever keeps the server alive."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from sparsepath.server.auth import Principal, asker
from sparsepath.server.metrics import CONTENT_TYPE
from sparsepath.server.problems import Problem
from sparsepath.server.service import Served

router = APIRouter(tags=["health"])


class State(BaseModel):
    """That all is well."""

    status: str = "ok"
    notes: list[str] = []
    """What somebody should look at, though answers are given."""


@router.get("/healthz")
async def healthz() -> State:
    """Say that the process answers."""
    return State()


@router.get("/readyz")
async def readyz(service: Served) -> State:
    """Say whether answers can be given and recorded now."""
    if not service.is_ready or not await service.journal.is_reachable():
        raise Problem(
            503, "not_ready", "answers cannot be recorded now", fix="look at the server's log"
        )
    follower = service.follower
    if follower.blocked is not None:
        raise Problem(503, "not_ready", follower.blocked, fix="look at the server's log")
    if service.options.strict_model and service.folder.note is not None:
        raise Problem(503, "not_ready", service.folder.note, fix="start the server again")
    return State(notes=service.notes)


@router.get("/metrics")
async def metrics(
    service: Served, _who: Annotated[Principal, Depends(asker("operator"))]
) -> Response:
    """Give counters in Prometheus' text format."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)
