"""`/v1/...`: a language model behind the shape of OpenAI's API, for its clients."""

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Request as Asked
from fastapi.responses import Response, StreamingResponse

from sparsepath.server.auth import Principal, asker
from sparsepath.server.generation import Generation
from sparsepath.server.openai_schema import (
    CHAT,
    COMPLETION,
    ChatRequest,
    CompletionRequest,
    Request,
    Shape,
    usage,
)
from sparsepath.server.problems import AsciiJson, Problem
from sparsepath.server.service import Served, Service
from sparsepath.server.waiting import while_connected

router = APIRouter(prefix="/v1", tags=["openai"])

Viewer = Annotated[Principal, Depends(asker("viewer"))]


@router.get("/models")
async def list_models(service: Served, _who: Viewer) -> dict[str, Any]:
    """List the language model that is served."""
    found = [] if service.writing_model is None else [_model(service.language.name)]
    return {"object": "list", "data": found}


@router.get("/models/{name}")
async def show_model(name: str, service: Served, _who: Viewer) -> dict[str, Any]:
    """Say that a model is served."""
    if service.writing_model is None or name != service.language.name:
        raise Problem(404, "model_not_found", "no such model is served", fix="see /v1/models")
    return _model(name)


@router.post("/completions")
async def complete(
    asked: CompletionRequest, request: Asked, service: Served, who: Viewer
) -> Response:
    """Write on after a prompt."""
    generation = Generation(
        service, asked, asked.prompt, tokens=asked.max_tokens, id_=_id(request), who=who
    )
    return await _answer(generation, asked, request, service, COMPLETION)


@router.post("/chat/completions")
async def chat(asked: ChatRequest, request: Asked, service: Served, who: Viewer) -> Response:
    """Answer a conversation."""
    prompt = service.language.template.prompt([message.plain for message in asked.messages])
    tokens = asked.max_completion_tokens or asked.max_tokens
    generation = Generation(service, asked, prompt, tokens=tokens, id_=_id(request), who=who)
    return await _answer(generation, asked, request, service, CHAT)


async def _answer(
    generation: Generation,
    asked: Request,
    request: Asked,
    service: Service,
    shape: Shape,
) -> Response:
    """Write all of a text, or begin a stream of it."""
    await generation.check_policy()
    head = (_id(request), int(time.time()), asked.model)
    timeout_s = service.options.timeout_s
    if asked.stream:
        pieces = generation.pieces()
        # What is wrong with the prompt shows at the first piece, while a status can be given.
        first = await while_connected(request, _first(pieces), timeout_s)
        await generation.record(generation.begun())
        events = _events(generation, asked, shape, head, (first, pieces))
        return StreamingResponse(events, media_type="text/event-stream")
    try:
        text = await while_connected(request, _joined(generation.pieces()), timeout_s)
    except Problem:
        generation.give_up()
        raise
    receipt = await generation.record(generation.begun(), generation.ended(is_whole=True))
    told = shape.make(*head, **shape.whole(text), finish_reason=generation.finish)
    told["usage"] = usage(generation.facts.prompt_tokens, generation.facts.tokens)
    told["sparsepath"] = generation.extension | {"record": receipt._asdict()}
    return AsciiJson(told)


async def _first(pieces: AsyncIterator[str]) -> str:
    """Wait for the first piece of a text; empty where there is none."""
    return await anext(pieces, "")


async def _joined(pieces: AsyncIterator[str]) -> str:
    """Wait for a whole text."""
    return "".join([piece async for piece in pieces])


async def _events(
    generation: Generation,
    asked: Request,
    shape: Shape,
    head: tuple[str, int, str],
    text: tuple[str, AsyncIterator[str]],
) -> AsyncIterator[str]:
    """Send a text as it comes; its record is on the disk before the last event."""
    first, pieces = text
    is_whole = False
    try:
        if shape.opening is not None:
            yield _event(shape.make(*head, **shape.opening))
        if first:
            yield _event(shape.make(*head, **shape.piece(first)))
        async for piece in pieces:
            yield _event(shape.make(*head, **shape.piece(piece)))
        is_whole = True
        receipt = await generation.record(generation.ended(is_whole=True))
        last = shape.make(*head, **shape.piece(""), finish_reason=generation.finish)
        last["sparsepath"] = generation.extension | {"record": receipt._asdict()}
        yield _event(last)
        if asked.stream_options is not None and asked.stream_options.include_usage:
            facts = generation.facts
            counted = shape.make(*head, **shape.piece(""))
            counted |= {"choices": [], "usage": usage(facts.prompt_tokens, facts.tokens)}
            yield _event(counted)
        yield "data: [DONE]\n\n"
    except Problem as problem:
        yield _event(problem.body())
    finally:
        if not is_whole:
            generation.abandon()


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, separators=(',', ':'))}\n\n"


def _id(request: Asked) -> str:
    found: str = request.state.request_id
    return found


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "sparsepath"}
