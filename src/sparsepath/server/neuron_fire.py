"""`/api/v1/concepts/{catalogue}/fire`: where a neuron fires in a text that a person types."""

import asyncio
from collections.abc import Iterator
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from sparsepath.artifacts.neuron import Neuron
from sparsepath.errors import SparsepathError
from sparsepath.runtime.language.tracing import Trace
from sparsepath.server.auth import Principal, asker
from sparsepath.server.concepts import ask_catalogue, find_place
from sparsepath.server.language import LanguageModel
from sparsepath.server.problems import Problem, from_error
from sparsepath.server.service import Served, Service
from sparsepath.server.waiting import while_connected

MAX_CHARACTERS = 2000

MAX_TOKENS = 256
"""Tokens of a text that are read; the rest is left out, and that is told."""

AT_ONCE = 32
"""Tokens that are read before other texts have their turn."""

router = APIRouter(prefix="/api/v1/concepts", tags=["concepts"])


class FireAsked(BaseModel):
    """A text, and the neuron that is watched in it."""

    model_config = ConfigDict(extra="forbid")

    neuron: str = Field(max_length=40, description="Such as `L02/117`.")
    text: str = Field(min_length=1, max_length=MAX_CHARACTERS)


class Fired(BaseModel):
    """A neuron in a text."""

    tokens: list[str] = Field(description="Joined they are the text that was read.")
    values: list[float] = Field(description="Of the neuron at each token; 0 where silent.")
    n_left_out: int = Field(description="Tokens at the end that were not read.")


@router.post("/{catalogue}/fire")
async def fire(
    catalogue: str,
    asked: FireAsked,
    request: Request,
    service: Served,
    who: Annotated[Principal, Depends(asker("viewer"))],
) -> Fired:
    """Read a text with the language model that answers here; the text is kept nowhere."""
    place, neuron = find_place(service, catalogue), Neuron.parse(asked.neuron)
    model = service.writing_model
    if not place.is_served or model is None:
        raise Problem(
            404,
            "not_served",
            "the model of this catalogue does not answer here",
            fix="start the server with that model: sparsepath serve MODEL",
        )
    await ask_catalogue(service, place, lambda opened: opened.id_of(neuron))
    await service.limits.charge(who.key, 1)
    work = _fired(service, model, neuron, asked.text)
    return await while_connected(request, work, service.options.timeout_s)


async def _fired(service: Service, model: LanguageModel, neuron: Neuron, text: str) -> Fired:
    """Read a text between those that are being written."""
    # Lone surrogates, from broken input, have no UTF-8 form.
    clean = text.encode("utf-8", "replace").decode("utf-8")
    ids, tokens = await asyncio.to_thread(_pieces, model, clean)
    if not ids:
        raise Problem(422, "invalid", "the text has no tokens", fix="type a word")
    most = min(MAX_TOKENS, model.context)
    trace = Trace(neuron.site)
    try:
        async for _ in service.writers.begin(_reading(model, ids[:most], trace)).read():
            pass
        values = _values(trace, neuron, len(ids[:most]))
    except SparsepathError as err:
        told = from_error(err)
        raise Problem(422, "cannot_be_done", told.message, fix=told.fix) from err
    return Fired(tokens=tokens[:most], values=values, n_left_out=max(0, len(ids) - most))


def _reading(model: LanguageModel, ids: list[int], trace: Trace) -> Iterator[str]:
    """Read some tokens a turn."""
    cache = model.engine.cache(len(ids), trace=trace)
    for start in range(0, len(ids), AT_ONCE):
        model.engine.read(ids[start : start + AT_ONCE], cache, 1)
        yield ""


def _values(trace: Trace, neuron: Neuron, n: int) -> list[float]:
    """Give the neuron's value at each token; what fires the other sign's neuron is silence."""
    kept = trace.kept(neuron.layer, neuron.site)
    at = np.repeat(np.arange(n), np.diff(kept.starts))
    values = np.zeros(n, np.float64)
    is_it = kept.indices == neuron.index
    values[at[is_it]] = kept.values[is_it]
    if neuron.side:
        values = np.where(values * neuron.sign > 0, values, 0.0)
    return [round(float(value), 6) for value in values]


def _pieces(model: LanguageModel, text: str) -> tuple[list[int], list[str]]:
    """Cut a text into tokens; a character of several tokens belongs to the first of them."""
    encoded = model.engine.tokenizer.encode(text)
    pieces, end = [], 0
    for _, stop in encoded.offsets:
        reached = max(end, stop)
        pieces.append(text[end:reached])
        end = reached
    return list(encoded.ids), pieces
