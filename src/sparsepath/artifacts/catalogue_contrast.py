"""Contexts for labelling a neuron from outside, and the labels that came back; without a model.

Read with: `concepts/contrast.py` (how places are drawn), `concepts/endpoint_labels.py` (who asks).
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sparsepath.artifacts.catalogue import BEST_FIRST, Catalogue
from sparsepath.artifacts.catalogue_schema import AFTER, BEFORE, EndpointLabel
from sparsepath.artifacts.neuron import Neuron
from sparsepath.artifacts.spelling import spell
from sparsepath.errors import RunError


class Excerpt(NamedTuple):
    """A token with its surroundings."""

    texts: tuple[str, ...]
    """Tokens."""
    at: int
    """Place of the token."""


class Trial(NamedTuple):
    """A held-out context on which a label is judged."""

    excerpt: Excerpt
    fires: bool
    """Whether the neuron fires at the token."""
    said: bool
    """Whether the automatic label says so."""


class Contrast(NamedTuple):
    """Contexts of a neuron beside its examples."""

    silent: list[Excerpt]
    """Not held out: the neuron does not fire at the token."""
    trials: list[Trial]
    """Held out."""


def contrast_of(catalogue: Catalogue, neuron: Neuron) -> Contrast:
    """Read the contexts of a neuron.

    Raises:
        ConfigError: if it is not in the catalogue.
    """
    id_ = catalogue.id_of(neuron)
    query = "SELECT silent, fires, quiet, said FROM contrast WHERE neuron = ?"
    *places, answers = catalogue.database.execute(query, (id_,)).fetchone()
    silent, fires, quiet = (np.frombuffer(some, "<u4").tolist() for some in places)
    said = np.frombuffer(answers, np.uint8).astype(bool).tolist()
    truth = [True] * len(fires) + [False] * len(quiet)
    trials = zip(fires + quiet, truth, said, strict=True)
    return Contrast(
        [_excerpt(catalogue, place) for place in silent],
        [Trial(_excerpt(catalogue, place), fire, says) for place, fire, says in trials],
    )


def _excerpt(catalogue: Catalogue, position: int) -> Excerpt:
    """Cut the surroundings of a position out of its row."""
    row, place = divmod(position, catalogue.facts.length)
    query = "SELECT ids FROM text WHERE row = ?"
    (content,) = catalogue.database.execute(query, (row,)).fetchone()
    start = max(0, place - BEFORE)
    ids = np.frombuffer(content, "<u4")[start : place + AFTER + 1]
    return Excerpt(tuple(spell([catalogue.token(int(id_)) for id_ in ids])), place - start)


def keep_endpoint_label(catalogue: Catalogue, neuron: Neuron, found: EndpointLabel) -> None:
    """Keep what an endpoint called a neuron, in place of what the same model said before.

    Raises:
        ConfigError: if the neuron is not in the catalogue.
        RunError: if the file may not be written to.
    """
    id_ = catalogue.id_of(neuron)
    marks = ", ".join("?" * (1 + len(found)))
    try:
        with catalogue.database as database:
            database.execute(f"INSERT OR REPLACE INTO endpoint_label VALUES ({marks})",
                             (id_, *found))  # fmt: skip
            database.execute(
                "UPDATE neuron SET endpoint_label = (SELECT label FROM endpoint_label "
                f"WHERE neuron = ?1 AND is_kept {BEST_FIRST} LIMIT 1) WHERE id = ?1",
                (id_,),
            )
            if found.is_kept:
                database.execute(
                    "UPDATE words SET label = label || ' ' || ? WHERE rowid = ?", (found.label, id_)
                )
    except sqlite3.OperationalError as err:
        raise RunError(
            f"{catalogue.path} may not be written to ({err})",
            hint="copy it to where you may write, and name the copy instead of the model",
        ) from err


def neurons_to_label(
    catalogue: Catalogue,
    model: str,
    *,
    layer: int | None = None,
    only: Sequence[Neuron] = (),
    again: bool = False,
) -> list[Neuron]:
    """List living neurons that a model was not asked for yet, those with the worst labels first.

    Those with a person's label are left out, unless they are asked for.

    Args:
        catalogue: open.
        model: its name at the endpoint.
        layer: only this one.
        only: these; empty: all without a person's label.
        again: also those that it was asked for.

    Raises:
        ConfigError: if one of `only` is not in the catalogue.
    """
    ids = {catalogue.id_of(neuron) for neuron in only}
    lines = catalogue.lines(
        where="NOT is_dead AND (? IS NULL OR layer = ?) AND (? OR id NOT IN "
        "(SELECT neuron FROM endpoint_label WHERE model = ?)) AND (? OR own_label IS NULL)",
        values=(layer, layer, again, model, bool(only)),
    )
    wanted = [line for line in lines if not ids or catalogue.id_of(line.neuron) in ids]
    scored = [line.neuron for line in wanted if line.score is not None]
    return scored[::-1] + [line.neuron for line in wanted if line.score is None]
