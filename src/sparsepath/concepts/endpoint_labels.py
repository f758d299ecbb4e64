"""Labels by a language model behind an endpoint, each judged on held-out contexts beside our own.

The endpoint first sees contexts where a neuron fires and where it does not, and names it; then,
as if it knew nothing else, it is given the name and held-out contexts and says where the neuron
fires. Our own label answers for the same contexts. The better one is shown; a person's wins always.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_contrast import (
    Contrast,
    Trial,
    contrast_of,
    keep_endpoint_label,
    neurons_to_label,
)
from sparsepath.artifacts.catalogue_schema import EndpointLabel
from sparsepath.artifacts.neuron import Neuron
from sparsepath.artifacts.provenance import now_utc
from sparsepath.concepts.asking import (
    SYSTEM,
    UnusableAnswerError,
    judge_question,
    name_question,
    read_judgement,
    read_name,
)
from sparsepath.concepts.endpoint import Endpoint, ask
from sparsepath.errors import RunError

AT_ONCE = 12
"""Contexts that are judged by one call."""

LEAST_TRIALS = 5
"""Held-out contexts of each kind below which a neuron is not asked for."""

TRIES = 3
"""Times that a question is asked whose answer is of no use."""

MOST_FAILED = 3
"""Neurons in a row without a usable answer, after which the rest is not asked for."""

Answer = TypeVar("Answer")


class Plan(NamedTuple):
    """What would be asked."""

    neurons: list[Neuron]
    """Those that can be judged, the worst labels first."""
    n_calls: int
    """Where every answer is of use."""
    first: str | None
    """The first question; None where there is nothing to ask."""


class Named(NamedTuple):
    """What came out for one neuron."""

    neuron: Neuron
    before: str
    """Its automatic label."""
    found: EndpointLabel | None
    """None where no answer was of use; it is asked for again next time."""
    trouble: str
    """Why then; else empty."""


def plan_labels(
    catalogue: Catalogue,
    model: str,
    *,
    only: Sequence[Neuron] = (),
    layer: int | None = None,
    limit: int | None = None,
    again: bool = False,
) -> Plan:
    """Say what would be asked of a model; nothing is sent.

    Args:
        catalogue: open.
        model: its name at the endpoint; neurons it was asked for already are left out.
        only: these neurons; empty: all.
        layer: only this one.
        limit: most neurons.
        again: do not leave them out.

    Raises:
        ConfigError: if one of `only` is not in the catalogue.
    """
    chosen: list[tuple[Neuron, Contrast]] = []
    for neuron in neurons_to_label(catalogue, model, layer=layer, only=only, again=again):
        if limit is not None and len(chosen) >= limit:
            break
        contrast = contrast_of(catalogue, neuron)
        n_fires = sum(trial.fires for trial in contrast.trials)
        if min(n_fires, len(contrast.trials) - n_fires) >= LEAST_TRIALS:
            chosen.append((neuron, contrast))
    first = None
    if chosen:
        neuron, contrast = chosen[0]
        first = name_question(catalogue.card(neuron).contexts, contrast.silent)
    n_calls = sum(1 + -(-len(contrast.trials) // AT_ONCE) for _, contrast in chosen)
    return Plan([neuron for neuron, _ in chosen], n_calls, first)


def label_neurons(
    catalogue: Catalogue, neurons: Sequence[Neuron], endpoint: Endpoint
) -> Iterator[Named]:
    """Name and judge neurons, one after the other; each is kept in the catalogue when it is done.

    Excerpts of the corpus are sent to the endpoint.

    Args:
        catalogue: open; it is written to.
        neurons: as planned.
        endpoint: who is asked.

    Raises:
        RunError: if the endpoint does not answer, refuses, or gives nothing of use for several
            neurons in a row; what was done before is kept.
    """
    n_failed = 0
    for neuron in neurons:
        card = catalogue.card(neuron)
        contrast = contrast_of(catalogue, neuron)
        try:
            question = name_question(card.contexts, contrast.silent)
            label = _useful(endpoint, question, read_name)
            said = _judged(endpoint, label, contrast.trials)
        except UnusableAnswerError as err:
            n_failed += 1
            yield Named(neuron, card.automatic, None, str(err))
            if n_failed == MOST_FAILED:
                raise RunError(
                    f"{endpoint.model} gave no usable answer for {n_failed} neurons in a row: "
                    f"{err}",
                    hint="name a model that follows instructions and answers in JSON",
                ) from err
            continue
        n_failed = 0
        fires = [trial.fires for trial in contrast.trials]
        score = detection(fires, said)
        own = detection(fires, [trial.said for trial in contrast.trials])
        is_kept = score > own and score >= catalogue.facts.least_score
        found = EndpointLabel(
            label, score, own, len(fires), endpoint.model, endpoint.url, now_utc(), is_kept
        )
        keep_endpoint_label(catalogue, neuron, found)
        yield Named(neuron, card.automatic, found, "")


def detection(fires: Sequence[bool], said: Sequence[bool]) -> float:
    """Give the mean of the share of firings that were told and of the silent places left out.

    Args:
        fires: whether the neuron fires; some are true, some are not.
        said: what was said of the same places.
    """
    truth, told = np.array(fires, bool), np.array(said, bool)
    return float((told[truth].mean() + (~told[~truth]).mean()) / 2)


def _judged(endpoint: Endpoint, label: str, trials: Sequence[Trial]) -> list[bool]:
    """Let the endpoint say where a label holds, in an order that gives nothing away."""
    order = np.random.default_rng(len(trials)).permutation(len(trials)).tolist()
    said = [False] * len(trials)
    for start in range(0, len(order), AT_ONCE):
        some = order[start : start + AT_ONCE]
        question = judge_question(label, [trials[number].excerpt for number in some])

        def read(answer: str, n: int = len(some)) -> list[bool]:
            return read_judgement(answer, n)

        for number, one in zip(some, _useful(endpoint, question, read), strict=True):
            said[number] = one
    return said


def _useful(endpoint: Endpoint, question: str, read: Callable[[str], Answer]) -> Answer:
    """Ask until the answer can be read.

    Raises:
        UnusableAnswerError: if it never can.
        RunError: if there is none.
    """
    for _ in range(TRIES - 1):
        try:
            return read(ask(endpoint, SYSTEM, question))
        except UnusableAnswerError:
            continue
    return read(ask(endpoint, SYSTEM, question))
