"""Follow neurons over checkpoints of one training, and over the layers of one model.

Meaning is compared by what neurons fire on (`compare.py`, likeness by tokens). A neuron's meaning
is the same in two catalogues where the likeness is `SAME` or more.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.neuron import Neuron
from sparsepath.artifacts.token_profile import SAME, Event
from sparsepath.concepts.compare import SEED, Profiles, likeness, profiles
from sparsepath.errors import ConfigError


class Moment(NamedTuple):
    """A neuron in one catalogue."""

    name: str
    """Of the catalogue."""
    event: Event
    label: str
    to_last: float | None
    """Likeness to what it is in the last catalogue; None where it does not fire in both."""
    moved_to: Neuron | None
    """Where its meaning of the catalogue before is now, if it moved."""


class Life(NamedTuple):
    """One neuron over all catalogues."""

    neuron: Neuron
    moments: list[Moment]
    settled_at: str | None
    """First catalogue from which on its meaning is that of the last; None if it ends dead."""


class Step(NamedTuple):
    """All neurons of one catalogue."""

    name: str
    alive: int
    """Neurons that fire."""
    settled: int
    """Of them, those whose meaning stays that of the last catalogue from here on."""
    to_before: float | None
    """Mean likeness of neurons to themselves in the catalogue before."""
    control: float | None
    """Mean likeness to other neurons of the layer in the catalogue before."""


class Consistency(NamedTuple):
    """How much neurons of the same number mean the same in two neighbouring layers."""

    site: str
    layer: int
    """The lower one; the other is the next."""
    n: int
    """Neurons that fire in both."""
    mean: float
    """Likeness."""
    control: float
    """Likeness to another neuron of the next layer."""


class Track(NamedTuple):
    """Neurons over catalogues."""

    steps: list[Step]
    lives: list[Life]
    """In the order of the first catalogue."""
    layers: list[Consistency]
    """Of the last catalogue."""


def track(catalogues: Sequence[Catalogue], names: Sequence[str]) -> Track:
    """Follow every neuron.

    Args:
        catalogues: open; in the order of time, of models of one shape.
        names: of each, such as the step.

    Raises:
        ConfigError: if they do not have the same neurons.
    """
    numbers: dict[str, int] = {}
    read = [profiles(catalogue, numbers) for catalogue in catalogues]
    for catalogue, found in zip(catalogues, read, strict=True):
        if found.neurons != read[0].neurons:
            raise ConfigError(
                f"{catalogue.path} has other neurons than {catalogues[0].path}",
                hint="follow neurons over checkpoints of one training, catalogued at equal sites",
            )
    to_last = [_alike(found, read[-1]) for found in read]
    settled = _settled(read, to_last)
    lives = [_life(number, names, read, to_last, settled) for number in range(len(read[0].neurons))]
    steps = [_step(i, names[i], read, settled) for i in range(len(read))]
    return Track(steps, lives, layer_consistency(read[-1]))


def layer_consistency(found: Profiles) -> list[Consistency]:
    """Compare each layer with the next one of its site, neuron by neuron."""
    place = {neuron: i for i, neuron in enumerate(found.neurons)}
    layers = sorted({(neuron.site, neuron.layer) for neuron in found.neurons})
    result = []
    for site, layer in layers:
        pairs = np.array(
            [
                (i, place[above])
                for i, neuron in enumerate(found.neurons)
                if (neuron.site, neuron.layer) == (site, layer)
                and (above := neuron._replace(layer=layer + 1)) in place
                and found.fired[i]
                and found.fired[place[above]]
            ],
            np.int64,
        ).reshape(-1, 2)
        if len(pairs) < 2:
            continue
        mean = likeness(found.tokens[pairs[:, 0]], found.tokens[pairs[:, 1]]).mean()
        others = _others(pairs[:, 1])
        control = likeness(found.tokens[pairs[:, 0]], found.tokens[others]).mean()
        result.append(Consistency(site, layer, len(pairs), float(mean), float(control)))
    return result


def _others(rows: np.ndarray) -> np.ndarray:
    """Give each row another one of them."""
    order = np.random.default_rng(SEED).permutation(len(rows))
    found = np.empty_like(rows)
    found[order] = rows[np.roll(order, 1)]
    return found


def _alike(a: Profiles, b: Profiles) -> np.ndarray:
    """Give the likeness of each neuron to itself; NaN where it does not fire in both."""
    return np.where(a.fired & b.fired, likeness(a.tokens, b.tokens), np.nan)


def _settled(read: list[Profiles], to_last: list[np.ndarray]) -> np.ndarray:
    """Give the first catalogue from which on each neuron means what it means in the last; -1."""
    found = np.where(read[-1].fired, len(read) - 1, -1)
    for i in range(len(read) - 2, -1, -1):
        goes_on = (found == i + 1) & (to_last[i] >= SAME)
        found[goes_on] = i
    return found


def _life(
    number: int,
    names: Sequence[str],
    read: list[Profiles],
    to_last: list[np.ndarray],
    settled: np.ndarray,
) -> Life:
    """Follow one neuron."""
    moments = []
    for i, found in enumerate(read):
        event, moved_to = _event(number, read[i - 1] if i else None, found)
        value = float(to_last[i][number])
        moments.append(
            Moment(
                names[i], event, found.labels[number], None if np.isnan(value) else value, moved_to
            )
        )
    at = int(settled[number])
    return Life(read[0].neurons[number], moments, None if at < 0 else names[at])


def _event(number: int, before: Profiles | None, now: Profiles) -> tuple[Event, Neuron | None]:
    """Say what happened to a neuron since the catalogue before."""
    was_alive = before is not None and bool(before.fired[number])
    if not now.fired[number] and not was_alive:
        return "dead", None
    if before is None or not was_alive:
        return "appears", None
    is_alive = bool(now.fired[number])
    if is_alive and likeness(before.tokens[[number]], now.tokens[[number]])[0] >= SAME:
        return "stays", None
    neuron = now.neurons[number]
    likely = np.asarray((now.tokens @ before.tokens[[number]].T).todense()).reshape(-1)
    is_near = [n.layer == neuron.layer and n.site == neuron.site for n in now.neurons]
    likely[~np.array(is_near)] = 0
    likely[number] = 0
    best = int(likely.argmax())
    # It was not there before, so that a twin which was always like it is no place to move to.
    twin = likeness(before.tokens[[best]], before.tokens[[number]])[0] >= SAME
    if likely[best] >= SAME and not twin:
        return "moves", now.neurons[best]
    return ("changes", None) if is_alive else ("dies", None)


def _step(
    i: int,
    name: str,
    read: list[Profiles],
    settled: np.ndarray,
) -> Step:
    """Sum up one catalogue."""
    now = read[i]
    n_settled = int(((settled >= 0) & (settled <= i)).sum())
    alive = int(now.fired.sum())
    if i == 0:
        return Step(name, alive, n_settled, None, None)
    both = np.flatnonzero(now.fired & read[i - 1].fired)
    if len(both) < 2:
        return Step(name, alive, n_settled, None, None)
    places = np.array([f"{now.neurons[n].site}.{now.neurons[n].layer}" for n in both])
    others = both.copy()
    for place in np.unique(places):
        members = np.flatnonzero(places == place)
        others[members] = _others(both[members])
    return Step(
        name,
        alive,
        n_settled,
        float(likeness(now.tokens[both], read[i - 1].tokens[both]).mean()),
        float(likeness(now.tokens[both], read[i - 1].tokens[others]).mean()),
    )
