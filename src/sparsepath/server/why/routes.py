"""`/api/v1/explain`: which neurons, heads and tokens decided an answer, with a test of that."""

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import JsonValue

from sparsepath.audit.record import Draft, canonical
from sparsepath.server.auth import Principal, asker
from sparsepath.server.classifier import Classifier
from sparsepath.server.language import LanguageModel
from sparsepath.server.library import Place
from sparsepath.server.models import name_of
from sparsepath.server.problems import Problem, model_changed
from sparsepath.server.service import Served, Service
from sparsepath.server.snapshot import signature
from sparsepath.server.waiting import while_connected
from sparsepath.server.why.explainer import ANSWER_S, can_explain
from sparsepath.server.why.schema import (
    CanExplain,
    ExplainAsked,
    LabelFacts,
    LabelInside,
    TokenFacts,
    TokenInside,
)
from sparsepath.server.why.spoken import rename
from sparsepath.server.why.told import told_label, told_token

router = APIRouter(prefix="/api/v1", tags=["explain"])

Viewer = Annotated[Principal, Depends(asker("viewer"))]


@router.get("/explain")
async def can_be_explained(_service: Served, _who: Viewer) -> CanExplain:
    """Say whether this server can look inside the model."""
    if can_explain():
        return CanExplain(can="yes", fix=None)
    return CanExplain(can="not_installed", fix="pip install 'sparsepath[train]'")


@router.post("/explain")
async def explain(
    asked: ExplainAsked, request: Request, service: Served, who: Viewer
) -> LabelInside | TokenInside:
    """Name the neurons and heads that decided how a text is labelled, or goes on, and test them.

    It takes seconds, one text at a time, in a process of its own; the text is recorded as a
    decision's is.
    """
    begun = time.perf_counter()
    await service.limits.charge(who.key, 1)
    work = _label if service.writing_model is None else _token
    found = await while_connected(request, work(service, asked), 2 * ANSWER_S)
    ms = round(1000 * (time.perf_counter() - begun), 3)
    facts: dict[str, JsonValue] = {
        "request": request.state.request_id,
        "by": who.name,
        "latency_ms": ms,
        **_recorded(found),
    }
    draft = Draft(kind="decision.explain", body=facts, texts={"input": asked.text})
    (receipt,) = await service.journal.write([draft])
    made = {"request": request.state.request_id, "record": receipt._asdict()}
    if service.writing_model is None:
        return LabelInside.model_validate(found | made)
    return TokenInside.model_validate(found | made)


async def _label(service: Service, asked: ExplainAsked) -> dict[str, Any]:
    """Explain what the classifier says that answers this text."""
    if asked.site is not None or asked.contrast is not None:
        raise Problem(
            422,
            "invalid",
            "`site` and `contrast` are for language models",
            fix="leave them out; a classifier is served here",
        )
    by = service.followed.choose([asked.text])
    model = by.model
    for label in (asked.target, asked.against):
        if label is not None and label not in model.labels:
            fix = "see /api/v1/models for the labels"
            raise Problem(422, "no_label", "the model has no such label", fix=fix)
    await _see_unchanged(model)
    (answer,) = await by.batcher.ask([asked.text])
    label = model.labels[int(answer.probabilities.argmax())]
    content = await _asked(
        service, model, {"kind": "label", **_question(asked), "target": asked.target or label}
    )
    await _see_unchanged(model)
    place = _catalogue(service, Path(content["folder"]))
    name = None if place is None else place.name
    told = told_label(content, label, name) | {"model": name_of(model).model_dump()}
    if place is not None and asked.lang != "en":
        await rename(service, place, told["units"], asked.lang)
    return LabelFacts.model_validate(told).model_dump()


async def _token(service: Service, asked: ExplainAsked) -> dict[str, Any]:
    """Explain how the language model goes on that answers this text."""
    model = service.writing.choose([asked.text]).model
    content = await _asked(service, model, {"kind": "token", **_question(asked)})
    if content["card"]["model_sha256"] != model.sha256:
        raise model_changed()
    place = _catalogue(service, model.folder.resolve())
    name = None if place is None else place.name
    told = told_token(content, name) | {"model": name_of(model).model_dump()}
    if place is not None and asked.lang != "en":
        await rename(service, place, told["neurons"], asked.lang)
    return TokenFacts.model_validate(told).model_dump()


async def _asked(
    service: Service, model: Classifier | LanguageModel, question: dict[str, Any]
) -> dict[str, Any]:
    """Let a model be looked into; where it lies on the server's disk is not told."""
    folder = str(model.folder)
    try:
        return await service.explainer.explain(
            {"model": folder, "threads": model.threads, **question}
        )
    except Problem as problem:
        message, fix = (
            said.replace(folder, "the model") for said in (problem.message, problem.fix)
        )
        raise Problem(
            problem.status, problem.code, message, fix=fix, headers=problem.headers
        ) from problem


def _question(asked: ExplainAsked) -> dict[str, Any]:
    return {
        "text": asked.text,
        "target": asked.target,
        "against": asked.against,
        "place": asked.site,
        "contrast": asked.contrast,
    }


def _recorded(found: dict[str, Any]) -> dict[str, JsonValue]:
    """Give what the log keeps of an explanation: no token of a text, but the hash of all."""
    kept: dict[str, JsonValue] = {
        "model": found["model"],
        "probability": found["probability"],
        "verdict": found["test"]["verdict"],
        "explanation_sha256": hashlib.sha256(canonical(found).encode()).hexdigest(),
    }
    if found["kind"] == "label":
        kept |= {name: found[name] for name in ("label", "target", "against", "looked_into")}
    else:
        kept |= {"site": found["site"], "card_sha256": found["card"]["content_sha256"]}
    return kept


async def _see_unchanged(model: Classifier) -> None:
    """See that the folders of a classifier still hold what was loaded.

    Raises:
        Problem: if they do not.
    """
    if await asyncio.to_thread(signature, model.folders) != model.signature:
        raise model_changed()


def _catalogue(service: Service, folder: Path) -> Place | None:
    """Find the catalogue of a folder among those that are shown."""
    shown = service.library.catalogues()
    return next((place for place in shown if place.path.parent.resolve() == folder), None)
