"""`/api/v1/concepts/{catalogue}/layers` and `/moments`: a neuron in other layers and before."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.neuron import Neuron, Site
from sparsepath.config import Language
from sparsepath.server.auth import Principal, asker
from sparsepath.server.concepts import NeuronRow, ask_catalogue, find_place, row_of
from sparsepath.server.library import Place
from sparsepath.server.service import Served

STREAM: frozenset[Site] = frozenset({"block_out", "attn_in", "mlp_in"})
"""Sites whose entries are those of the residual stream, so that numbers mean the same place."""

FOLDER = "concepts"
"""Where `sparsepath concepts track --corpus` leaves the catalogues of a training's checkpoints."""

MAX_MOMENTS = 60
"""Checkpoints that are shown, spread over all."""

router = APIRouter(prefix="/api/v1/concepts", tags=["concepts"])

Viewer = Annotated[Principal, Depends(asker("viewer"))]


class NeuronAsked(BaseModel):
    """Which neuron, and in which language its labels are."""

    name: str = Field(max_length=40, description="Such as `L02/117`.")
    lang: Language = "en"


class SameEntry(BaseModel):
    """The same entry of the stream in one layer."""

    layer: int
    row: NeuronRow | None = Field(description="null: the catalogue does not have it.")
    is_dead: bool


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


class Moments(BaseModel):
    """A neuron through a training."""

    n: int = Field(description="Checkpoints with a catalogue.")
    moments: list[Moment] = Field(description="In the order of time; 60 at most, spread evenly.")
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
    """Give a neuron at each checkpoint of its training that has a catalogue."""
    place, neuron = find_place(service, catalogue), Neuron.parse(asked.name)
    known = _checkpoints(place)
    moments = []
    for step, path in _spread(known):
        at = Place(place.name, path, is_served=False)
        found = await ask_catalogue(
            service, at, lambda opened: _line(opened, neuron), lang=asked.lang
        )
        if found is not None:
            moments.append(Moment(step=step, row=found[0], is_dead=found[1]))
    return Moments(n=len(known), moments=moments, training=place.name)


def _strip(opened: Catalogue, neuron: Neuron) -> LayerStrip:
    opened.id_of(neuron)
    if neuron.site not in STREAM:
        return LayerStrip(is_stream=False, layers=[])
    entries = []
    for layer in opened.facts.layers[neuron.site]:
        found = _line(opened, neuron._replace(layer=layer))
        row, is_dead = (None, False) if found is None else found
        entries.append(SameEntry(layer=layer, row=row, is_dead=is_dead))
    return LayerStrip(is_stream=True, layers=entries)


def _line(opened: Catalogue, neuron: Neuron) -> tuple[NeuronRow, bool] | None:
    """Give a neuron's line, and whether it never fires; None where there is none."""
    found = opened.database.execute(
        "SELECT id, is_dead FROM neuron WHERE layer = ? AND site = ? AND number = ? AND side = ?",
        tuple(neuron),
    ).fetchone()
    if found is None:
        return None
    (line,) = opened.lines_of([int(found[0])])
    return row_of(line), bool(found[1])


def _checkpoints(place: Place) -> list[tuple[int, Path]]:
    """Find the catalogues of a training's checkpoints, the first step first."""
    folder = place.path.parent
    training = folder.parent if folder.name == "model" else folder
    found = []
    for path in (training / FOLDER).glob("step-*.sqlite"):
        digits = path.stem.removeprefix("step-")
        is_inside = path.resolve().is_relative_to(training.resolve())
        if digits.isdecimal() and digits.isascii() and is_inside:
            found.append((int(digits), path))
    return sorted(found)


def _spread(known: list[tuple[int, Path]]) -> list[tuple[int, Path]]:
    """Choose evenly, the first and the last among them."""
    n = len(known)
    if n <= MAX_MOMENTS:
        return known
    return [known[i * (n - 1) // (MAX_MOMENTS - 1)] for i in range(MAX_MOMENTS)]
