"""What was measured of a model's random sub-models: `sparsepath pathways`, as its pages read it."""

from sparsepath.artifacts.base import Artifact


class QualityPoint(Artifact):
    """Quality of one way to answer."""

    members: int
    """Sub-models that were averaged; 0 for one dense pass."""
    accuracy: float
    nll_nats: float
    brier: float
    ece: float


class SubModelFigures(Artifact):
    """Random sub-models that keep one share of the sources."""

    keep: float
    accuracies: list[float]
    """Of each sub-model, lowest first."""
    nll_nats: list[float]
    """Of each, lowest first."""
    curve: list[QualityPoint]
    """Ensembles of growing size."""


class ConcentrationFigures(Artifact):
    """How importance is spread over units, and over inputs."""

    lorenz: list[float]
    """Share of the importance that the least important 0, 5, ... 100 % of the units carry."""
    effective_share: float
    top_share: float
    """Share that the most important tenth carries."""
    overlap: float
    """Mean overlap of that tenth between two inputs, 0 to 1."""
    overlap_same_label: float
    overlap_shuffled: float
    """By chance."""


class HypothesisFigures(Artifact):
    """Whether a model is an ensemble of small, input-dependent pathways."""

    model: str
    rows: int
    dense: QualityPoint
    sub_models: list[SubModelFigures]
    concentration: ConcentrationFigures
    untrained: ConcentrationFigures
    """Of the same model with its weights shuffled."""
    conclusions: list[str]
