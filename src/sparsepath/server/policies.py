"""`/api/v1/policies`: what a language model may be steered by, and who said so."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from sparsepath.audit.clock import now
from sparsepath.audit.policies import approve, find_policy, list_policies, propose, revoke
from sparsepath.audit.policy import Policy, Standing, State, same_person
from sparsepath.audit.policy_model import asked_of, presets_of
from sparsepath.errors import ConfigError
from sparsepath.server.auth import Principal, asker
from sparsepath.server.problems import Problem
from sparsepath.server.service import Served, Service

router = APIRouter(prefix="/api/v1/policies", tags=["policies"])

Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Version = Annotated[int, Path(ge=1, le=10**6)]
Viewer = Annotated[Principal, Depends(asker("viewer"))]
Reviewer = Annotated[Principal, Depends(asker("reviewer"))]
Operator = Annotated[Principal, Depends(asker("operator"))]


class PolicyOut(BaseModel):
    """A policy, and where it stands."""

    policy: Policy
    state: State
    sha256: str = Field(description="Of the policy's content.")
    author: str
    is_yours: bool = Field(description="Whether who asks is its author, who cannot approve it.")
    proposed: str = Field(description="UTC, as all times here.")
    approver: str | None
    approved: str | None
    end: State | None = Field(description="What ended it.")
    ended: str | None
    ended_by: str | None
    reason: str


class Policies(BaseModel):
    """Every version of every policy, in the order in which they were proposed."""

    policies: list[PolicyOut]
    is_needed: bool = Field(description="Whether this server steers only as a policy allows.")


class Approving(BaseModel):
    """What is approved."""

    model_config = ConfigDict(extra="forbid")

    sha256: str | None = Field(
        default=None, max_length=64, description="Of the policy that was looked at."
    )


class Reason(BaseModel):
    """Why a policy ends."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=200)


@router.get("")
async def list_all(service: Served, who: Viewer) -> Policies:
    """List policies."""
    found = await asyncio.to_thread(list_policies, service.database)
    is_needed = service.gate is not None and service.gate.is_needed(found)
    return Policies(
        policies=[told_policy(standing, who) for standing in found], is_needed=is_needed
    )


@router.get("/{name}/{version}")
async def show(name: Name, version: Version, service: Served, who: Viewer) -> PolicyOut:
    """Show a version of a policy."""
    return told_policy(await found_policy(service, name, version), who)


@router.post("", status_code=201)
async def propose_one(policy: Policy, service: Served, who: Operator) -> PolicyOut:
    """Put a policy over the model that is served forward, for someone else to approve."""
    model = service.steering.known

    def put() -> Standing:
        asked = asked_of(model.folder, sha256=model.sha256)
        return propose(service.database, policy, presets_of(model.folder), asked, who.actor)

    return told_policy(await asyncio.to_thread(put), who)


@router.post("/{name}/{version}/approve")
async def approve_one(
    name: Name, version: Version, what: Approving, service: Served, who: Reviewer
) -> PolicyOut:
    """Let a policy come into force; its author cannot."""
    found = await found_policy(service, name, version)
    if what.sha256 not in (None, found.sha256):
        raise Problem(
            422, "other_policy", "that is the hash of another policy", fix="look at it again"
        )
    return told_policy(
        await asyncio.to_thread(approve, service.database, name, version, who.actor), who
    )


@router.post("/{name}/{version}/revoke")
async def revoke_one(
    name: Name, version: Version, why: Reason, service: Served, who: Reviewer
) -> PolicyOut:
    """End a policy, or reject it."""
    await found_policy(service, name, version)

    def end() -> Standing:
        return revoke(service.database, name, version, who.actor, reason=why.reason)

    return told_policy(await asyncio.to_thread(end), who)


async def found_policy(service: Service, name: str, version: int) -> Standing:
    """Find a version of a policy.

    Raises:
        Problem: if there is none.
    """
    found = await asyncio.to_thread(list_policies, service.database)
    try:
        return find_policy(found, name, version)
    except ConfigError as err:
        raise Problem(404, "policy_not_found", err.message, fix=err.hint) from err


def told_policy(standing: Standing, who: Principal) -> PolicyOut:
    """Describe a policy to someone."""
    about = {
        "state": standing.state(now()),
        "is_yours": same_person(standing.author, who.person),
    }
    return PolicyOut.model_validate(standing._asdict() | about, from_attributes=True)
