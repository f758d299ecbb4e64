"""`/api/v1/concepts/{catalogue}/fire`: where a neuron fires in a text that a person types."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from sparsepath.artifacts.catalogue_schema import CatalogueFacts
from sparsepath.artifacts.neuron import Neuron
from sparsepath.errors import SparsepathError
from sparsepath.server.auth import Principal, asker
from sparsepath.server.concepts import ask_catalogue, find_place
from sparsepath.server.library import Place
from sparsepath.server.neuron_reader import Fired
from sparsepath.server.problems import Problem, from_error
from sparsepath.server.service import Served, Service
from sparsepath.server.steering.part import check_unchanged
from sparsepath.server.waiting import while_connected

MAX_CHARACTERS = 2000

Can = Literal["yes", "elsewhere", "latents", "dense", "several"]
"""Whether texts can be read here: not where the catalogue's model is not served, where it is of an
autoencoder's latents, of a dense model, or where several models answer together."""

_WHY: dict[Can, tuple[str, str]] = {
    "elsewhere": (
        "the model of this catalogue does not answer here",
        "start the server with that model: sparsepath serve MODEL",
    ),
    "latents": (
        "the catalogue is of an autoencoder's latents, which the engine does not compute",
        "catalogue the model's own neurons: sparsepath concepts build MODEL CORPUS",
    ),
    "dense": (
        "the model is dense: no neuron of it is silent",
        "serve a sparse model, and its catalogue",
    ),
    "several": (
        "several models answer together here",
        "serve a sparse classifier alone, such as RUN/models/topk-8th",
    ),
}

router = APIRouter(prefix="/api/v1/concepts", tags=["concepts"])

Viewer = Annotated[Principal, Depends(asker("viewer"))]


class CanFire(BaseModel):
    """Whether texts can be read."""

    can: Can = Field(
        description="`yes`, or why not: the model is served `elsewhere`, these are an autoencoder's"
        " `latents`, the model is `dense`, or `several` models answer together."
    )


class FireAsked(BaseModel):
    """A text, and the neuron that is watched in it."""

    model_config = ConfigDict(extra="forbid")

    neuron: str = Field(max_length=40, description="Such as `L02/117`.")
    text: str = Field(min_length=1, max_length=MAX_CHARACTERS)


class FiredOut(BaseModel):
    """A neuron in a text."""

    tokens: list[str] = Field(description="Joined without special ones: the text that was read.")
    is_special: list[bool] = Field(
        description="Whether each stands for no part of the text, such as `[CLS]`."
    )
    values: list[float] = Field(description="Of the neuron at each token; 0 where silent.")
    n_left_out: int = Field(description="Tokens at the end that were not read.")


@router.get("/{catalogue}/fire")
async def can_fire(catalogue: str, service: Served, _who: Viewer) -> CanFire:
    """Say whether texts can be read here, so that neurons of a catalogue are seen to fire."""
    return CanFire(can=await _can(service, find_place(service, catalogue)))


@router.post("/{catalogue}/fire")
async def fire(
    catalogue: str, asked: FireAsked, request: Request, service: Served, who: Viewer
) -> FiredOut:
    """Read a text with the model that answers here; the text is kept nowhere."""
    place, neuron = find_place(service, catalogue), Neuron.parse(asked.neuron)
    can = await _can(service, place)
    if can != "yes":
        why, fix = _WHY[can]
        raise Problem(404, "not_served", why, fix=fix)
    await ask_catalogue(service, place, lambda opened: opened.id_of(neuron))
    await check_unchanged(service.folder)
    await service.limits.charge(who.key, 1)
    work = _fired(service, neuron, asked.text)
    found = await while_connected(request, work, service.options.timeout_s)
    if not found.tokens:
        raise Problem(422, "invalid", "the text has no tokens", fix="type a word")
    return FiredOut(**found._asdict())


async def _can(service: Service, place: Place) -> Can:
    """Say whether texts can be read."""
    facts: CatalogueFacts = await ask_catalogue(service, place, lambda opened: opened.facts)
    if not place.is_served:
        return "elsewhere"
    if facts.autoencoder is not None:
        return "latents"
    if not facts.is_sparse:
        return "dense"
    return "yes" if service.model.kind in ("language-model", "single") else "several"


async def _fired(service: Service, neuron: Neuron, text: str) -> Fired:
    """Read a text; where the model lies on the server's disk is not told."""
    try:
        return await service.neurons.read(neuron, text)
    except SparsepathError as err:
        told = from_error(err)
        folder = str(service.model.folder)
        message, fix = (said.replace(folder, "the model") for said in (told.message, told.fix))
        raise Problem(422, "cannot_be_done", message, fix=fix) from err
