"""`/api/v1/rollout` and `/api/v1/drift`: a new model in stages, and whether answers drift."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from sparsepath.audit.drift.monitor import DriftState
from sparsepath.audit.rollout.model import ModelRef
from sparsepath.audit.rollout.rules import Rules
from sparsepath.audit.rollout.state import (
    Asked,
    Rollout,
    Stage,
    promote,
    roll_back,
    start,
)
from sparsepath.audit.rollout.status import ServerFigures, StageFigures, Status, status
from sparsepath.config import Form
from sparsepath.server.auth import Principal, asker
from sparsepath.server.model_beside import beside, models_beside
from sparsepath.server.model_ref import refer, refer_loaded
from sparsepath.server.service import Served, Service

router = APIRouter(prefix="/api/v1", tags=["rollout"])

Operator = Annotated[Principal, Depends(asker("operator"))]
Admin = Annotated[Principal, Depends(asker("admin"))]


class _Body(BaseModel):
    """What is sent; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class RolloutStart(_Body):
    """A rollout to begin."""

    model: str = Field(
        min_length=1, max_length=255, description="Folder beside that of the model that answers."
    )
    precision: Form | None = Field(
        default=None, description="None: fp32, or int8 of a language model."
    )
    rules: Rules = Rules()


class Promote(_Body):
    """The next stage, or a larger share of the canary stage."""

    share: float | None = Field(
        default=None, gt=0, le=1, description="Of the requests; only for the canary stage."
    )
    revision: int | None = Field(
        default=None, description="Do nothing unless the rollout still has it."
    )
    why: str = Field(default="", max_length=500)


class RollBack(_Body):
    """Back to the old model."""

    revision: int | None = None
    why: str = Field(default="", max_length=500)


class ModelBeside(BaseModel):
    """A model that a rollout can be begun with."""

    name: str
    precisions: list[Form]
    labels: list[str]
    answers: bool = Field(description="Whether it is the one that answers now.")


class ModelsBeside(BaseModel):
    """Models of the same kind whose folders lie beside that of the one that answers."""

    models: list[ModelBeside]


class GateOut(BaseModel):
    """Where a gate stands."""

    gate: str
    verdict: Literal["passed", "failed", "waiting"]
    n: int = Field(description="Texts, requests or verdicts that were counted.")
    least: int = Field(description="So many are needed before it decides.")
    value: float | None
    interval: tuple[float, float] | None = Field(
        description="99.9 %; of latency_p95_ms, of the share of requests above the limit."
    )
    limit: float | None
    when_failed: Literal["undo", "ask"]
    when_passed: Literal["promote", "ask"]


class RolloutOut(BaseModel):
    """The newest rollout, and what was measured."""

    id: int
    revision: int
    stage: Stage
    share: float
    old: ModelRef
    new: ModelRef
    rules: Rules
    asked: Asked | None
    began: str
    changed: str
    by: str
    first_seq: int = Field(description="Number of the record that began it.")
    stages: dict[Stage, StageFigures]
    servers: list[ServerFigures]
    gates: list[GateOut]


class RolloutState(BaseModel):
    """Where the rollout stands, and this server with it."""

    rollout: RolloutOut | None = Field(description="None: there was none.")
    server: str = Field(description="This server's id.")
    answers: str = Field(description="Model that counts here now.")
    notes: list[str] = Field(description="What is not as it should be here.")


class DriftOut(DriftState):
    """What is known of a model's drift, and how far the open window is."""

    model: str
    """SHA-256 and precision."""
    open: int
    """Answers of the window that is not full yet."""


class Drifts(BaseModel):
    """Every model that answers, or answers beside."""

    drift: list[DriftOut]


@router.get("/rollout")
async def show(service: Served, _who: Operator) -> RolloutState:
    """Say how the rollout stands, with quality and cost of both models in each stage."""
    return await _state(service)


@router.get("/rollout/models")
async def list_models(service: Served, _who: Operator) -> ModelsBeside:
    """List the models that a rollout can be begun with."""
    found = await asyncio.to_thread(models_beside, service.answering)
    return ModelsBeside(models=[ModelBeside(**one._asdict()) for one in found])


@router.post("/rollout/start")
async def begin(asked: RolloutStart, service: Served, who: Admin) -> RolloutState:
    """Begin a rollout in its shadow stage: both answer, the old model counts."""
    answering = service.answering
    new = await asyncio.to_thread(refer, beside(answering, asked.model), asked.precision)
    old = await asyncio.to_thread(refer_loaded, answering)
    await asyncio.to_thread(start, service.database, old, new, asked.rules, by=who.name)
    return await _state(service)


@router.post("/rollout/promote")
async def go_on(asked: Promote, service: Served, who: Admin) -> RolloutState:
    """Begin the next stage."""
    await asyncio.to_thread(
        promote,
        service.database,
        by=who.name,
        share=asked.share,
        revision=asked.revision,
        why=asked.why,
    )
    return await _state(service)


@router.post("/rollout/roll-back")
async def go_back(asked: RollBack, service: Served, who: Admin) -> RolloutState:
    """Let the old model answer everything again."""
    await asyncio.to_thread(
        roll_back, service.database, by=who.name, revision=asked.revision, why=asked.why
    )
    return await _state(service)


@router.get("/drift")
async def drift(service: Served, _who: Operator) -> Drifts:
    """Say whether answers are spread as in the PoC."""
    _ = service.classifier
    assert service.drift is not None
    n_open = service.drift.open
    return Drifts(
        drift=[
            DriftOut(model=key, open=n_open.get(key, 0), **state.model_dump())
            for key, state in service.drift.states.items()
        ]
    )


async def _state(service: Service) -> RolloutState:
    """Read how things stand."""
    found = await asyncio.to_thread(status, service.database)
    return RolloutState(
        rollout=None if found is None else _told(found),
        server=service.follower.server,
        answers=service.answering.name,
        notes=service.notes,
    )


def _told(found: Status) -> RolloutOut:
    return RolloutOut(
        **{name: getattr(found.rollout, name) for name in Rollout._fields},
        stages=found.stages,
        servers=found.servers,
        gates=[GateOut(**state._asdict()) for state in found.gates],
    )
