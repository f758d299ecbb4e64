"""`neurons.json` of a sparse model's folder: what each neuron of its sparse sites stands for.

A neuron fires in a text where it is among the entries that one of the text's tokens keeps. Its
strength there is the largest such value by magnitude, dimensionless.
"""

from typing import Literal

from pydantic import Field

from sparsepath.artifacts.base import SCHEMA, Artifact

NEURONS_FILE = "neurons.json"
"""Its name."""


class NeuronExample(Artifact):
    """A training text in which a neuron fires strongly."""

    row_id: int
    text: str
    """At most 160 characters of it."""
    token: str
    """Where it fires strongest."""
    strength: float


class NeuronFacts(Artifact):
    """What is known about one neuron."""

    name: str
    """Such as `L02/117` (residual stream) or `L02.M0117` (MLP); layers have the numbers of
    the first ancestor."""
    mean: float
    """Mean over all tokens, zeros among them: what stands for the neuron when it is taken away."""
    share_of_texts: float
    """Share of the training texts looked at in which it fires, 0 to 1."""
    label: str | None = None
    """Label that most of its strongest texts have; None where it fires in none."""
    label_share: float = 0.0
    """Share of its strongest texts that have it."""
    examples: list[NeuronExample] = Field(default_factory=list)
    """Its strongest texts, at most 3."""


class NeuronsFile(Artifact):
    """All neurons of a model's sparse sites, in the order of the sites and of the entries."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    n_texts: int
    """Training texts looked at."""
    neurons: list[NeuronFacts] = Field(default_factory=list)
