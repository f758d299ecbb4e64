"""`/api/v1/review`: decisions below a confidence wait for a person's verdict."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from sparsepath.audit.record import Draft
from sparsepath.audit.review import Labels, Looked, csv_lines, decide, look, n_waiting, waiting
from sparsepath.errors import ConfigError
from sparsepath.server.auth import Principal, asker
from sparsepath.server.problems import Problem
from sparsepath.server.service import Served, Service

router = APIRouter(prefix="/api/v1/review", tags=["review"])

Seq = Annotated[int, Path(ge=1, le=2**53)]
Reviewer = Annotated[Principal, Depends(asker("reviewer"))]


class CaseOut(BaseModel):
    """A decision that a person is to look at."""

    seq: int = Field(description="Number of its record in the audit log.")
    time: str = Field(description="UTC.")
    model: str
    label: str = Field(description="As the model says.")
    probability: float
    below: float = Field(description="It waits because `by` is below this.")
    by: Literal["probability", "margin"]
    margin: float = Field(description="Its lead over the runner-up, in probability.")
    labels: list[str] = Field(description="Labels to choose from.")


class VerdictOut(BaseModel):
    """What a person said."""

    seq: int = Field(description="Number of its own record.")
    time: str
    label: str | None = Field(description="null: no label fits.")
    by: str
    person: str


class CaseWithText(CaseOut):
    """A decision with its text and verdicts."""

    text: str | None = Field(description="null: it was forgotten.")
    verdicts: list[VerdictOut] = Field(description="The last one counts.")


class Cases(BaseModel):
    """Decisions without a verdict, the oldest first."""

    waiting: int = Field(description="How many wait altogether.")
    cases: list[CaseOut]


class VerdictIn(BaseModel):
    """A person's verdict."""

    model_config = ConfigDict(extra="forbid")

    label: str | None = Field(description="The right label; null: none fits.")


@router.get("")
async def list_waiting(
    service: Served,
    _who: Reviewer,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Cases:
    """List decisions that wait for a person, from every server of this database."""

    def read() -> Cases:
        found = waiting(service.database, after=after, limit=limit)
        return Cases.model_validate(
            {"waiting": n_waiting(service.database), "cases": [case._asdict() for case in found]}
        )

    return await asyncio.to_thread(read)


@router.get("/export", response_class=Response)
async def export_labelled(service: Served, who: Reviewer) -> Response:
    """Send the texts with their verdicts as a table with the columns text and label."""
    await service.journal.write([Draft(kind="text.read", body={"by": who.name, "reviewed": True})])
    lines = await asyncio.to_thread(lambda: [*csv_lines(Labels(service.database))])
    headers = {"Content-Disposition": 'attachment; filename="reviewed.csv"'}
    table = "".join(f"{line}\n" for line in lines)
    return Response(table.encode(), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/{seq}")
async def show(seq: Seq, service: Served, _who: Reviewer) -> CaseWithText:
    """Show a decision with its text, if that is kept, and the verdicts on it."""
    return _told(await _looked(service, seq))


@router.post("/{seq}")
async def give_verdict(
    seq: Seq, verdict: VerdictIn, service: Served, who: Reviewer
) -> CaseWithText:
    """Say which label is right; an earlier verdict stays on record, the last one counts."""
    await _looked(service, seq)
    await asyncio.to_thread(decide, service.database, seq, verdict.label, who.actor)
    return _told(await _looked(service, seq))


async def _looked(service: Service, seq: int) -> Looked:
    """Look at a decision.

    Raises:
        Problem: if there is none of that number.
    """
    try:
        return await asyncio.to_thread(look, service.database, seq)
    except ConfigError as err:
        raise Problem(404, "case_not_found", err.message, fix="list those that wait") from err


def _told(looked: Looked) -> CaseWithText:
    verdicts = [verdict._asdict() for verdict in looked.verdicts]
    told = looked.case._asdict() | {"text": looked.text, "verdicts": verdicts}
    return CaseWithText.model_validate(told)
