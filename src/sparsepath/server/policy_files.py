"""`/api/v1/policies`, continued: what a new policy starts from, and the TOML file of one."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from sparsepath.audit.clock import in_days
from sparsepath.audit.policies import list_policies
from sparsepath.audit.policy import Policy
from sparsepath.audit.policy_file import parse_policy, policy_text
from sparsepath.audit.policy_model import catalogue_sha256, presets_of
from sparsepath.server.auth import Principal, asker
from sparsepath.server.policies import Name, Version, Viewer, found_policy
from sparsepath.server.service import Served

router = APIRouter(prefix="/api/v1/policies", tags=["policies"])

Operator = Annotated[Principal, Depends(asker("operator"))]

DAYS: Final = 180.0
"""Until a new policy ends, unless its author says otherwise."""


class PresetDraft(BaseModel):
    """A steering preset of the model that is served."""

    name: str
    sha256: str
    edits: str = Field(description="As they are written.")
    note: str
    author: str


class PolicyStart(BaseModel):
    """What a new policy over the model that is served starts from."""

    model: str
    model_sha256: str
    catalogue_sha256: str | None
    expires: str = Field(description="Unless its author says otherwise.")
    presets: list[PresetDraft]
    versions: dict[str, int] = Field(description="Newest version of each policy that exists.")


class PolicyFile(BaseModel):
    """The file of a policy."""

    model_config = ConfigDict(extra="forbid")

    toml: str = Field(max_length=500_000)


class PolicyRead(BaseModel):
    """What a file says; nothing was proposed."""

    policy: Policy
    sha256: str


@router.get("/draft")
async def draft(service: Served, _who: Operator) -> PolicyStart:
    """Give the hashes and presets from which a policy is written."""
    model = service.language

    def read() -> PolicyStart:
        return PolicyStart(
            model=model.name,
            model_sha256=model.sha256,
            catalogue_sha256=catalogue_sha256(model.folder),
            expires=in_days(DAYS),
            presets=[
                PresetDraft(
                    name=preset.name,
                    sha256=preset.content_sha256,
                    edits=str(preset),
                    note=preset.note,
                    author=preset.author,
                )
                for preset in presets_of(model.folder)
                if preset.model_sha256 == model.sha256
            ],
            versions={
                one.policy.name: one.policy.version for one in list_policies(service.database)
            },
        )

    return await asyncio.to_thread(read)


@router.post("/read")
async def read_file(file: PolicyFile, _service: Served, _who: Operator) -> PolicyRead:
    """Read a TOML file, and give the policy that it holds; nothing is proposed."""
    policy = await asyncio.to_thread(parse_policy, file.toml, "the file")
    return PolicyRead(policy=policy, sha256=policy.sha256)


@router.get("/{name}/{version}/file", response_class=Response)
async def file_of(name: Name, version: Version, service: Served, _who: Viewer) -> Response:
    """Give a version of a policy as a TOML file, with its approval where it has one."""
    standing = await found_policy(service, name, version)
    headers = {"Content-Disposition": f'attachment; filename="{name}-{version}.toml"'}
    text = policy_text(standing.signed)
    return Response(text.encode(), media_type="application/toml", headers=headers)
