"""`/api/v1/steering/try`: a text, answered by a sparse classifier without and with steering.

A language model is tried through `/v1/completions`, with `sparsepath.steer` beside the prompt.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import JsonValue

from sparsepath.artifacts.edit import Edit
from sparsepath.audit.record import Draft
from sparsepath.runtime.base import FloatArray
from sparsepath.server.auth import Principal, asker
from sparsepath.server.classify import ReceiptOut
from sparsepath.server.models import name_of
from sparsepath.server.problems import Problem
from sparsepath.server.service import Served, Service
from sparsepath.server.steering.part import check_unchanged
from sparsepath.server.steering.permission import Wanted, permitted
from sparsepath.server.steering.schema import PermitOut, TriedOut, TryAsked
from sparsepath.server.steering.subject import Subject
from sparsepath.server.steering.trials import Trials
from sparsepath.server.waiting import while_connected

router = APIRouter(prefix="/api/v1/steering", tags=["steering"])

Viewer = Annotated[Principal, Depends(asker("viewer"))]


@router.post("/try")
async def try_steering(asked: TryAsked, request: Request, service: Served, who: Viewer) -> TriedOut:
    """Answer a text with a sparse classifier, without and with edits that need not be saved."""
    subject, trials = service.steering.known, service.steering.trials
    if trials is None:
        raise Problem(
            404,
            "not_served",
            "a language model is served, which writes",
            fix="ask /v1/completions, with sparsepath.steer beside the prompt",
        )
    if (asked.preset is None) != bool(asked.steer):
        raise Problem(422, "invalid", "nothing to try", fix="give `steer` or `preset`")
    await check_unchanged(service.folder)
    wanted = await asyncio.to_thread(_wanted, subject, asked)
    id_: str = request.state.request_id
    permit = await permitted(service, wanted, who, id_)
    await service.limits.charge(who.key, 1)
    edits = wanted.edits if wanted.preset is None else wanted.preset.edits
    work = _answers(service, trials, asked.text, edits)
    before, after = await while_connected(request, work, service.options.timeout_s)
    facts: dict[str, JsonValue] = {
        "request": id_,
        "by": who.name,
        "model": name_of(service.model).model_dump(),
        "label": max(before, key=before.__getitem__),
        "steered_label": next(iter(after)),
        "policy": None if permit is None else permit._asdict(),
    }
    draft = Draft(kind="steering.try", body=facts | wanted.facts, texts={"input": asked.text})
    (receipt,) = await service.journal.write([draft])
    return TriedOut(
        request=id_,
        model=name_of(service.model),
        edits=[str(edit) for edit in edits],
        unsteered=before,
        steered=after,
        policy=None if permit is None else PermitOut(**permit._asdict()),
        record=ReceiptOut(**receipt._asdict()),
    )


def _wanted(subject: Subject, asked: TryAsked) -> Wanted:
    """Read what is to be tried."""
    if asked.preset is None:
        return Wanted(None, subject.edits(asked.steer), asked.use)
    preset = subject.preset(asked.preset)
    subject.check_places(preset.edits)
    return Wanted(preset, (), asked.use)


async def _answers(
    service: Service, trials: Trials, text: str, edits: tuple[Edit, ...]
) -> tuple[dict[str, float], dict[str, float]]:
    """Give the probabilities without and with edits, the likeliest of the latter first."""
    (plain,) = await service.batcher.ask([text])
    steered = await trials.answer(text, edits)
    labels = service.classifier.labels
    order: Sequence[int] = (-steered).argsort(kind="stable").tolist()

    def by_label(row: FloatArray) -> dict[str, float]:
        return {labels[place]: float(row[place]) for place in order}

    return by_label(plain.probabilities), by_label(steered)
