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
    return State()


@router.get("/metrics")
async def metrics(
    service: Served, _who: Annotated[Principal, Depends(asker("operator"))]
) -> Response:
    """Give counters in Prometheus' text format."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)
