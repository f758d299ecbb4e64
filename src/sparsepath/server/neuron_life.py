"""A neuron at the checkpoints of its training, followed as `sparsepath concepts track` does."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sparsepath.artifacts.catalogue import DATED_FOLDER, Catalogue
from sparsepath.artifacts.neuron import Neuron
from sparsepath.artifacts.token_profile import SAME, Event, Profile, likeness, nearest, profile_of
from sparsepath.config import Language
from sparsepath.server.concepts import NeuronRow, ask_catalogue, row_of
from sparsepath.server.library import Place
from sparsepath.server.problems import Problem
from sparsepath.server.service import Service

MAX_MOMENTS = 60
"""Checkpoints that are shown, spread over all."""


class Line(NamedTuple):
    """A neuron in one catalogue."""

    row: NeuronRow
    is_dead: bool
    profile: Profile


class Seen(NamedTuple):
    """A neuron at one checkpoint."""

    step: int
    place: Place
    line: Line


class Through(NamedTuple):
    """A neuron at all checkpoints."""

    seen: list[Seen]
    damaged: list[int]
    """Steps whose catalogue cannot be read."""


class Change(NamedTuple):
    """What happened to it since the checkpoint before."""

    event: Event
    moved_to: Neuron | None
    """Where its old meaning is now."""


def line_of(opened: Catalogue, neuron: Neuron) -> Line | None:
    """Read a neuron; None where the catalogue does not have it."""
    found = opened.database.execute(
        "SELECT id, is_dead FROM neuron WHERE layer = ? AND site = ? AND number = ? AND side = ?",
        tuple(neuron),
    ).fetchone()
    if found is None:
        return None
    (line,) = opened.lines_of([int(found[0])])
    return Line(row_of(line), bool(found[1]), profile_of(opened, int(found[0])))


def training_of(place: Place) -> Path:
    """Give the folder of the training that a catalogue's model came from, if it did."""
    folder = place.path.parent
    return folder.parent if folder.name == "model" else folder


def dated(training: Path) -> list[tuple[int, Path]]:
    """Find the catalogues of a training's checkpoints, the first step first."""
    inside = training.resolve()
    found = []
    for path in (training / DATED_FOLDER).glob("step-*.sqlite"):
        digits = path.stem.removeprefix("step-")
        if digits.isdecimal() and digits.isascii() and path.resolve().is_relative_to(inside):
            found.append((int(digits), path))
    return sorted(found)


def spread(known: Sequence[tuple[int, Path]]) -> list[tuple[int, Path]]:
    """Choose `MAX_MOMENTS` at most, evenly, the first and the last among them."""
    n = len(known)
    if n <= MAX_MOMENTS:
        return list(known)
    return [known[i * (n - 1) // (MAX_MOMENTS - 1)] for i in range(MAX_MOMENTS)]


async def seen(
    service: Service,
    name: str,
    known: Sequence[tuple[int, Path]],
    *,
    neuron: Neuron,
    lang: Language,
) -> Through:
    """Read a neuron at each checkpoint whose catalogue has it; `name` is that of the training."""
    found, damaged = [], []
    for step, path in known:
        place = Place(name, path, is_served=False)
        try:
            line = await ask_catalogue(service, place, lambda at: line_of(at, neuron), lang=lang)
        except Problem:
            damaged.append(step)
            continue
        if line is not None:
            found.append(Seen(step, place, line))
    return Through(found, damaged)


async def change(service: Service, neuron: Neuron, before: Seen | None, now: Seen) -> Change:
    """Say what happened to a neuron since the checkpoint before."""
    was_alive = before is not None and not before.line.is_dead
    is_alive = not now.line.is_dead
    if before is None or not was_alive:
        return Change("appears" if is_alive else "dead", None)
    old = before.line.profile
    if is_alive and likeness(old, now.line.profile) >= SAME:
        return Change("stays", None)
    moved = await ask_catalogue(service, now.place, lambda at: nearest(at, old, neuron))
    if moved is not None and moved.likeness >= SAME:
        twin = await ask_catalogue(service, before.place, lambda at: line_of(at, moved.neuron))
        # It was not there before, so that a twin which was always like it is no place to move to.
        if twin is None or likeness(old, twin.profile) < SAME:
            return Change("moves", moved.neuron)
    return Change("changes" if is_alive else "dies", None)
