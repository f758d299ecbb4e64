"""Which heads and neurons decided one text, named and tested.

Read with `attribution.py` (scores), `selection.py` (which units), `explain.py` (who asks).
"""

from typing import NamedTuple

import torch

from sparsepath.artifacts.neurons import NeuronFacts
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.units import UnitMask, head_name, neuron_name
from sparsepath.pathways.attribution import UnitAttribution, attribute_units
from sparsepath.pathways.explain_check import ExplanationTest, check_pathway, count_enough
from sparsepath.pathways.selection import Case, choose_pathway

MAX_UNITS = 20
"""Units of the pathway that are listed by name."""


class NamedScore(NamedTuple):
    """A unit or an edge, and how much it spoke for the target."""

    name: str
    """Such as `L02.H05`, `L02.M0117` or `12>17@L02.H05` (positions of tokens)."""
    score: float
    """Logits that it adds to the margin."""


class UnitFindings(NamedTuple):
    """What was found out about the units that decided one text."""

    units: list[NamedScore]
    """The strongest of the pathway, by absolute score."""
    n_units: int
    """Units that could have been named."""
    n_units_kept: int
    """Units of the pathway."""
    n_units_enough: int | None
    """The fewest units seen to keep 90 % of the margin."""
    test: ExplanationTest
    """Keeps only the pathway, and removes it."""
    neurons: list[NeuronFacts]
    """What neurons of a sparse model stand for, in the order of `units`."""
    is_exact: bool
    """Whether the scores are exact shares of the margin."""


def dense_units(
    case: Case, share: float, n_random: int, generator: torch.Generator
) -> UnitFindings:
    """Attribute the answer to heads and neurons, choose the pathway and test it.

    Args:
        case: the text and the model.
        share: part of the heads and of the neurons that the pathway may have, 0 to 1.
        n_random: random sets of the test.
        generator: draws them.
    """
    by_units = attribute_units(case.model, case.ids, case.question, means=case.means)
    pathway = choose_pathway(case, by_units, share)
    test = check_pathway(case, pathway, n_random, generator)
    return UnitFindings(
        units=_listed(case.model, pathway, by_units[0]),
        n_units=UnitMask.full(case.model).n_units,
        n_units_kept=pathway.n_units,
        n_units_enough=count_enough(case, by_units[0], test.margin_of_nothing),
        test=test,
        neurons=[],
        is_exact=False,
    )


def _listed(
    model: PathwayClassifier, pathway: UnitMask, by_margin: UnitAttribution
) -> list[NamedScore]:
    """Name the strongest units of the pathway, with the numbers of the first ancestor."""
    layers = model.config.layers
    found = [
        NamedScore(
            head_name(layers[layer]["source"], layers[layer]["heads"][head]),
            float(by_margin.heads[layer, head]),
        )
        for layer, head in pathway.heads.nonzero().tolist()
    ]
    found += [
        NamedScore(
            neuron_name(layers[layer]["source"], neuron), float(by_margin.neurons[layer, neuron])
        )
        for layer, neuron in pathway.neurons.nonzero().tolist()
    ]
    return sorted(found, key=lambda unit: -abs(unit.score))[:MAX_UNITS]
