"""`/api/v1/start`: what this machine can do, what is served, and what can be opened."""

import shutil
from pathlib import Path
from typing import Annotated, Any

import psutil
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from sparsepath.artifacts.provenance import machine
from sparsepath.audit.roles import Role
from sparsepath.evaluate.doctor import (
    DEMO_DISK_BYTES,
    DEMO_MEMORY_BYTES,
    EXTRAS,
    missing_packages,
)
from sparsepath.kernels.native import best_level
from sparsepath.server.auth import LOCAL, Principal, asker
from sparsepath.server.models import Model, told_model
from sparsepath.server.service import Served
from sparsepath.version import __version__

router = APIRouter(prefix="/api/v1", tags=["start"])


class Machine(BaseModel):
    """The machine that the server runs on."""

    cpu: str
    cores: int
    memory_bytes: int
    memory_free_bytes: int
    memory_needed_bytes: int = Field(description="For a PoC on the built-in data.")
    disk_free_bytes: int = Field(description="Where the server was started.")
    disk_needed_bytes: int
    vectors: str | None = Field(
        description="Best vector instructions for fp32: avx512, avx2 or neon; null: none."
    )
    is_int8_fast: bool = Field(description="Whether it has VNNI.")
    native: str | None = Field(
        description="Instructions that the native library uses; null: there is no library."
    )
    missing: dict[str, list[str]] = Field(
        description="Packages that are not installed, by optional dependency set."
    )
    system: str


class Start(BaseModel):
    """What the first screen shows."""

    version: str
    role: Role = Field(description="What whoever asks may do at most.")
    needs_keys: bool
    person: str | None = Field(description="Who is logged in; null: nobody, such as with a key.")
    model: Model
    machine: Machine
    n_runs: int
    max_upload_mb: int = Field(description="Of a table that is sent, in 10^6 bytes.")
    n_catalogues: int
    is_steerable: bool = Field(description="Whether neurons of the model can be edited here.")


@router.get("/start")
def start(service: Served, who: Annotated[Principal, Depends(asker("viewer"))]) -> Start:
    """Say what this machine can do, what is served and what can be opened."""
    return Start(
        version=__version__,
        role=who.role,
        needs_keys=service.options.demands_keys,
        person=who.person if who.key is None and who != LOCAL else None,
        model=told_model(service),
        machine=_machine(),
        max_upload_mb=service.options.max_upload_mb,
        n_runs=len(service.library.runs()),
        n_catalogues=len(service.library.catalogues()),
        is_steerable=service.steering.subject is not None,
    )


def _machine() -> Machine:
    """Examine the machine; nothing is measured, so that it takes milliseconds."""
    known: dict[str, Any] = machine()
    flags: dict[str, bool] = known["flags"]
    level = best_level()
    return Machine(
        cpu=known["cpu"],
        cores=known["cores_logical"],
        memory_bytes=known["memory_bytes"],
        memory_free_bytes=psutil.virtual_memory().available,
        memory_needed_bytes=DEMO_MEMORY_BYTES,
        disk_free_bytes=shutil.disk_usage(Path.cwd()).free,
        disk_needed_bytes=DEMO_DISK_BYTES,
        vectors=next((name for name in ("avx512", "avx2", "neon") if flags[name]), None),
        is_int8_fast=flags["avx512_vnni"] or flags["avx_vnni"],
        native=None if level is None else level.name.lower(),
        missing={extra: missing_packages(extra) for extra in EXTRAS},
        system=f"{known['os']} {known['architecture']}",
    )
