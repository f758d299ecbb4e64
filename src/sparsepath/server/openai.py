"""`/v1/...`: a language model behind the shape of OpenAI's API, for its clients."""

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Request as Asked
from fastapi.responses import Response, StreamingResponse

from sparsepath.server.auth import Principal, asker
from sparsepath.server.generation import Generation, Prompt, names_of
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
    """List the names that the language model which is served goes by; the first one answers."""
    found = [] if service.writing_model is None else names_of(service.writing)
    return {"object": "list", "data": [_model(name) for name in found]}


@router.get("/models/{name}")
async def show_model(name: str, service: Served, _who: Viewer) -> dict[str, Any]:
    """Say that a model is served."""
    if service.writing_model is None or name not in names_of(service.writing):
        raise Problem(404, "model_not_found", "no such model is served", fix="see /v1/models")
    return _model(name)


@router.post("/completions")
async def complete(
    asked: CompletionRequest, request: Asked, service: Served, who: Viewer
) -> Response:
    """Write on after a prompt."""
    prompt = Prompt([asked.prompt], lambda _model: asked.prompt)
    generation = Generation(
        service, asked, prompt, tokens=asked.max_tokens, id_=_id(request), who=who
    )
    return await _answer(generation, asked, request, service, COMPLETION)


@router.post("/chat/completions")
async def chat(asked: ChatRequest, request: Asked, service: Served, who: Viewer) -> Response:
    """Answer a conversation."""
    messages = [message.plain for message in asked.messages]
    prompt = Prompt(_opening(messages), lambda model: model.template.prompt(messages))
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
    id_, begun, timeout_s = _id(request), int(time.time()), service.options.timeout_s
    if asked.stream:
        # What is wrong with the prompt shows at the first piece, while a status can be given.
        first = await while_connected(request, generation.begin(), timeout_s)
        await generation.record(generation.begun())
        events = _events(generation, asked, shape, (id_, begun, generation.model.name), first)
        return StreamingResponse(events, media_type="text/event-stream")
    try:
        text = await while_connected(request, generation.whole(), timeout_s)
    except Problem:
        generation.give_up()
        raise
    receipt = await generation.record(generation.begun(), generation.ended(is_whole=True))
    generation.count()
    head = id_, begun, generation.model.name
    told = shape.make(*head, **shape.whole(text), finish_reason=generation.finish)
    told["usage"] = usage(generation.facts.prompt_tokens, generation.facts.tokens)
    told["sparsepath"] = generation.extension | {"record": receipt._asdict()}
    return AsciiJson(told)


async def _events(
    generation: Generation,
    asked: Request,
    shape: Shape,
    head: tuple[str, int, str],
    first: str,
) -> AsyncIterator[str]:
    """Send a text as it comes; its record is on the disk before the last event."""
    is_whole = False
    try:
        if shape.opening is not None:
            yield _event(shape.make(*head, **shape.opening))
        if first:
            yield _event(shape.make(*head, **shape.piece(first)))
        async for piece in generation.rest():
            yield _event(shape.make(*head, **shape.piece(piece)))
        is_whole = True
        receipt = await generation.record(generation.ended(is_whole=True))
        generation.count()
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


def _opening(messages: Sequence[Mapping[str, str]]) -> list[str]:
    """Give a conversation up to the user's first message, so that all of it has one model."""
    roles = [message["role"] for message in messages]
    end = roles.index("user") + 1 if "user" in roles else len(roles)
    return [message[key] for message in messages[:end] for key in ("role", "content")]


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, separators=(',', ':'))}\n\n"


def _id(request: Asked) -> str:
    found: str = request.state.request_id
    return found


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "sparsepath"}
