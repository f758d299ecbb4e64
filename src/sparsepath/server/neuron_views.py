"""`/api/v1/concepts/{catalogue}/layers` and `/moments`: a neuron in other layers and before."""

from itertools import pairwise
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.neuron import IN_ORDER, Neuron, Site, place_name
from sparsepath.artifacts.token_profile import Event, likeness
from sparsepath.config import Language
from sparsepath.server.auth import Principal, asker
from sparsepath.server.concepts import NeuronRow, ask_catalogue, find_place
from sparsepath.server.neuron_life import (
    MAX_MOMENTS,
    Line,
    change,
    dated,
    line_of,
    seen,
    spread,
    training_of,
)
from sparsepath.server.service import Served

STREAM: frozenset[Site] = frozenset({"block_out", "attn_in", "mlp_in"})
"""Sites whose entries are those of the residual stream, so that numbers mean the same place."""

router = APIRouter(prefix="/api/v1/concepts", tags=["concepts"])

Viewer = Annotated[Principal, Depends(asker("viewer"))]


class NeuronAsked(BaseModel):
    """Which neuron, and in which language its labels are."""

    name: str = Field(max_length=40, description="Such as `L02/117`.")
    lang: Language = "en"


class SameEntry(BaseModel):
    """The same entry of the stream in one layer."""

    place: str = Field(description="Layer and site, such as `L02`.")
    row: NeuronRow | None = Field(description="null: the catalogue does not have it.")
    is_dead: bool
    likeness: float | None = Field(
        description="To what the neuron fires on, 0 to 1; null: one of them does not fire."
    )


class LayerStrip(BaseModel):
    """One entry of the stream through the layers."""

    is_stream: bool = Field(
        description="Whether equal numbers are the same entry; of MLP neurons they are not."
    )
    layers: list[SameEntry]


class Moment(BaseModel):
    """A neuron at one checkpoint."""

    step: int
    row: NeuronRow
    is_dead: bool
    event: Event = Field(
        description="Since the checkpoint before: it appears, stays, changes its meaning, `moves` "
        "(it is now found at another neuron of the layer), dies, or is still dead."
    )
    moved_to: str | None
    to_last: float | None = Field(
        description="Likeness to what it fires on at the last one, 0 to 1; null: it does not fire."
    )


class Moments(BaseModel):
    """A neuron through a training."""

    n: int = Field(description="Checkpoints with a catalogue.")
    n_checkpoints: int = Field(description="Checkpoints that are there, catalogued or not.")
    moments: list[Moment] = Field(
        description=f"In the order of time; {MAX_MOMENTS} at most, spread evenly."
    )
    damaged: list[int] = Field(
        description="Steps whose catalogue cannot be read; they are left out."
    )
    training: str = Field(description="The training's folder, as a command names it.")


@router.get("/{catalogue}/layers")
async def show_layers(
    catalogue: str, asked: Annotated[NeuronAsked, Query()], service: Served, _who: Viewer
) -> LayerStrip:
    """Give what the same entry of the residual stream stands for in each layer."""
    place, neuron = find_place(service, catalogue), Neuron.parse(asked.name)
    return await ask_catalogue(
        service, place, lambda opened: _strip(opened, neuron), lang=asked.lang
    )


@router.get("/{catalogue}/moments")
async def show_moments(
    catalogue: str, asked: Annotated[NeuronAsked, Query()], service: Served, _who: Viewer
) -> Moments:
    """Follow a neuron over the checkpoints of its training that have a catalogue."""
    place, neuron = find_place(service, catalogue), Neuron.parse(asked.name)
    await ask_catalogue(service, place, lambda opened: opened.id_of(neuron))
    training = training_of(place)
    known = dated(training)
    through = await seen(service, place.name, spread(known), neuron=neuron, lang=asked.lang)
    found = through.seen
    moments = []
    for before, now in pairwise([None, *found]):
        assert now is not None
        happened = await change(service, neuron, before, now)
        moments.append(
            Moment(
                step=now.step,
                row=now.line.row,
                is_dead=now.line.is_dead,
                event=happened.event,
                moved_to=None if happened.moved_to is None else happened.moved_to.name,
                to_last=_alike(now.line, found[-1].line),
            )
        )
    kept = len(list(training.glob("checkpoints/step-*")))
    return Moments(
        n=len(known),
        n_checkpoints=kept,
        moments=moments,
        damaged=through.damaged,
        training=place.name,
    )


def _strip(opened: Catalogue, neuron: Neuron) -> LayerStrip:
    opened.id_of(neuron)
    own = line_of(opened, neuron)
    if neuron.site not in STREAM or own is None:
        return LayerStrip(is_stream=False, layers=[])
    layers = opened.facts.layers
    places = [(n, site) for site in STREAM & layers.keys() for n in layers[site]]
    entries = []
    for layer, site in sorted(places, key=lambda one: (one[0], IN_ORDER.index(one[1]))):
        found = line_of(opened, neuron._replace(layer=layer, site=site))
        entries.append(
            SameEntry(
                place=place_name(layer, site),
                row=None if found is None else found.row,
                is_dead=found is not None and found.is_dead,
                likeness=None if found is None else _alike(own, found),
            )
        )
    return LayerStrip(is_stream=True, layers=entries)


def _alike(a: Line, b: Line) -> float | None:
    return None if a.is_dead or b.is_dead else round(likeness(a.profile, b.profile), 4)
