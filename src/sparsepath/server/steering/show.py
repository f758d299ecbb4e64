"""`/api/v1/steering`: what can be steered, and how strongly."""

import asyncio
import math
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from sparsepath.audit.clock import now
from sparsepath.server.auth import Principal, asker
from sparsepath.server.models import name_of
from sparsepath.server.service import Served
from sparsepath.server.steering.schema import NeuronLimits, SteeringOut
from sparsepath.server.steering.told import is_sparse, told_lacks, told_preset, told_sites

router = APIRouter(prefix="/api/v1/steering", tags=["steering"])

Viewer = Annotated[Principal, Depends(asker("viewer"))]


@router.get("")
async def show_steering(service: Served, _who: Viewer) -> SteeringOut:
    """Say what of the model can be steered, its presets, and what this server cannot do."""
    subject = service.steering.subject
    standings = [] if service.gate is None else await service.gate.standings()
    catalogues = await asyncio.to_thread(service.library.catalogues)
    listed = [] if subject is None else await asyncio.to_thread(subject.presets)
    uses = [use for s in standings if s.state(now()) == "approved" for use in s.policy.uses]
    return SteeringOut(
        model=name_of(service.model),
        weights_sha256=None if subject is None else subject.sha256,
        kind=None if subject is None else subject.kind,
        lacks=told_lacks(service),
        sites=[] if subject is None else told_sites(subject.sites),
        presets=[told_preset(one) for one in listed],
        catalogue=next((place.name for place in catalogues if place.is_served), None),
        catalogue_sha256=None if service.gate is None else service.gate.catalogue_sha256,
        is_policy_needed=service.options.needs_policy or bool(standings),
        uses=[*dict.fromkeys(uses)],
    )


@router.get("/neuron")
async def show_limits(
    name: Annotated[str, Query(max_length=200, description="Such as `L02/117`, or a label.")],
    service: Served,
    _who: Viewer,
) -> NeuronLimits:
    """Say how strongly a neuron may be edited; the first time, usual values are measured."""
    subject = service.steering.known
    neuron, limit = await asyncio.to_thread(subject.neuron, name)
    return NeuronLimits(
        name=neuron.name,
        largest=limit.largest,
        value=limit.value if math.isfinite(limit.value) else None,
        factor=limit.factor,
        is_sparse=is_sparse(subject.sites, (neuron.layer, neuron.site)),
    )
