"""`/api/v1/steering/presets`: keeping edits in the model's folder."""

import asyncio
import os
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import JsonValue

from sparsepath.artifacts.steering import FOLDER, Preset, make_preset, write_preset
from sparsepath.audit.record import Draft
from sparsepath.errors import RunError
from sparsepath.evaluate.steering_strengths import edit_limit
from sparsepath.server.auth import Principal, asker
from sparsepath.server.models import name_of
from sparsepath.server.problems import Problem
from sparsepath.server.service import Served
from sparsepath.server.steering.part import check_unchanged
from sparsepath.server.steering.schema import PresetOut, SaveAsked
from sparsepath.server.steering.subject import Listed, Subject
from sparsepath.server.steering.told import told_preset

MAX_PRESETS = 500
"""Presets of one model, at most."""

router = APIRouter(prefix="/api/v1/steering", tags=["steering"])

Operator = Annotated[Principal, Depends(asker("operator"))]


@router.post("/presets", status_code=201)
async def save_preset(asked: SaveAsked, service: Served, who: Operator) -> PresetOut:
    """Keep edits as a preset in the model's folder; strengths that break a model are refused."""
    subject = service.steering.known
    await check_unchanged(service.folder)
    preset = await asyncio.to_thread(_made, subject, asked, who.person)
    async with service.steering.saving:
        there = {one.name: one for one in await asyncio.to_thread(subject.presets)}
        if asked.name in there and not asked.replace:
            raise Problem(
                409,
                "preset_exists",
                f"there is a preset {asked.name} already",
                fix="choose another name, or replace it; policies over it then refuse it",
            )
        if len(there) >= MAX_PRESETS:
            raise Problem(
                422, "too_many", f"the model has {len(there)} presets", fix="delete some files"
            )
        _check_writable(subject)
        facts: dict[str, JsonValue] = {
            "by": who.name,
            "model": name_of(service.model).model_dump(),
            "preset": preset.name,
            "preset_sha256": preset.content_sha256,
            "edits": [str(edit) for edit in preset.edits],
            "replaces": asked.name in there,
        }
        await service.journal.write([Draft(kind="preset.save", body=facts)])
        await asyncio.to_thread(_written, subject, preset)
    return told_preset(Listed(preset.name, preset, ""))


def _made(subject: Subject, asked: SaveAsked, author: str) -> Preset:
    """Make a preset; raises as `Subject.edits`."""
    edits = subject.edits(asked.steer, is_dense_allowed=asked.dense_sites)
    with subject.told():
        return make_preset(
            asked.name,
            edits,
            subject.sha256,
            limits=[edit_limit(edit, subject.ranges) for edit in edits],
            is_dense_allowed=asked.dense_sites,
            author=author,
            note=asked.note,
        )


def _check_writable(subject: Subject) -> None:
    """See that presets can be written, before it is recorded that one was."""
    place = subject.folder / FOLDER
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK):
        raise _unwritten(subject)


def _written(subject: Subject, preset: Preset) -> None:
    try:
        write_preset(subject.folder, preset)
    except (OSError, RunError) as err:
        raise _unwritten(subject) from err


def _unwritten(subject: Subject) -> Problem:
    return Problem(
        503,
        "not_written",
        f"the folder of {subject.name} cannot be written to",
        fix="ask who runs this server for room on the disk and the right to write there",
    )
