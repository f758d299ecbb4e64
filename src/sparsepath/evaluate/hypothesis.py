"""Is the information pathways hypothesis true of a model? Its claims, measured on a table.

Claims: random sub-models still answer; averaging them approaches, and may pass, the dense model;
few units carry an answer; which ones depends on the input. Each has its control.

Source: Hussain et al. 2023, arXiv 2306.01705.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from sparsepath.config import HypothesisOptions
from sparsepath.evaluate.ensemble import Figures, figures, member_curve
from sparsepath.evaluate.labelled import LabelledRows, read_labelled
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.save import load_classifier
from sparsepath.pathways.concentration import Concentration, concentration, input_importance
from sparsepath.pathways.controls import shuffled_twin
from sparsepath.pathways.ensemble import run_members
from sparsepath.runtime.locate import locate_model
from sparsepath.trace.batches import bucketed_batches
from sparsepath.trace.gates import unit_means

KEEPS = (0.125, 0.25, 0.5, 0.75)
"""Shares of the sources that sub-models keep."""

BATCH = 32
"""Rows of a batch for gradients."""

AS_GOOD = 0.0
"""Nats by which an ensemble must beat the dense pass to be told as better."""


class SubModels(NamedTuple):
    """Random sub-models that keep one share of the sources."""

    keep: float
    """The share."""
    accuracies: list[float]
    """Accuracy of each sub-model, lowest first."""
    nll_nats: list[float]
    """Mean negative log-likelihood of each, lowest first."""
    curve: list[Figures]
    """Ensembles of growing size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HypothesisReport:
    """What was measured, and what it says."""

    model: str
    """Folder of the classifier."""
    rows: int
    """Rows it was measured on."""
    dense: Figures
    """One pass over all sources."""
    sub_models: list[SubModels]
    """By the share of the sources they keep."""
    concentration: Concentration
    """Of the trained model."""
    untrained: Concentration
    """Of the same model with its weights shuffled within each matrix: the control."""
    conclusions: list[str]
    """Plain sentences."""

    def as_dict(self) -> dict[str, Any]:
        """Give plain values, as JSON holds them."""
        plain = asdict(self)
        plain["dense"] = self.dense._asdict()
        plain["sub_models"] = [
            {**part._asdict(), "curve": [point._asdict() for point in part.curve]}
            for part in self.sub_models
        ]
        for name in ("concentration", "untrained"):
            plain[name] = getattr(self, name)._asdict()
        return plain


def hypothesis(
    model: Path | str, data: Path | str, options: HypothesisOptions | None = None
) -> HypothesisReport:
    """Measure the claims of the hypothesis on one classifier and one labelled table.

    Args:
        model: a model folder of a run or a training, or a run folder.
        data: a labelled table whose labels the model knows, which it was not trained on.
        options: settings other than the usual ones.

    Raises:
        DataError: if the table cannot be read, or has labels that the model does not know.
        ModelError: if the model cannot be read.
    """
    options = options or HypothesisOptions()
    folder = locate_model(Path(model))
    loaded = load_classifier(folder)
    rows = read_labelled(loaded, data, limit=options.rows, seed=options.seed)
    sub_models = []
    dense = None
    for keep in KEEPS:
        found = run_members(
            loaded.model,
            rows.encoded,
            n_members=options.members,
            keep=keep,
            generator=torch.Generator().manual_seed(options.seed),
        )
        probabilities = found.probabilities.numpy()
        dense = figures(found.dense.numpy(), rows.truth, 0)
        each = [figures(one, rows.truth, 1) for one in probabilities]
        sub_models.append(
            SubModels(
                keep,
                sorted(one.accuracy for one in each),
                sorted(one.nll_nats for one in each),
                member_curve(probabilities, rows.truth),
            )
        )
    assert dense is not None
    twin = shuffled_twin(loaded.model, generator=torch.Generator().manual_seed(options.seed))
    trained, untrained = (_concentration(m, rows, options.seed) for m in (loaded.model, twin))
    return HypothesisReport(
        model=str(folder),
        rows=len(rows.truth),
        dense=dense,
        sub_models=sub_models,
        concentration=trained,
        untrained=untrained,
        conclusions=conclusions(dense, sub_models, trained, untrained),
    )


def conclusions(
    dense: Figures,
    sub_models: list[SubModels],
    trained: Concentration,
    untrained: Concentration,
) -> list[str]:
    """Say what the figures mean, in plain sentences."""
    said = []
    for part in sub_models:
        middle = float(np.median(part.accuracies))
        said.append(
            f"A random sub-model that keeps {part.keep:.1%} of the sources is right on "
            f"{middle:.1%} of the rows (from {part.accuracies[0]:.1%} to "
            f"{part.accuracies[-1]:.1%}); the dense model on {dense.accuracy:.1%}."
        )
        last = part.curve[-1]
        gain = dense.nll_nats - last.nll_nats
        verdict = "better" if gain > AS_GOOD else "worse"
        said.append(
            f"{last.members} of them together are right on {last.accuracy:.1%}, with an NLL of "
            f"{last.nll_nats:.4f}: {verdict} than the dense pass ({dense.nll_nats:.4f})."
        )
    said.append(
        f"The most important tenth of the units carries {trained.top_share:.0%} of an answer's "
        f"importance; with shuffled weights {untrained.top_share:.0%}."
    )
    said.append(
        f"Two inputs share {trained.overlap:.0%} of that tenth "
        f"({trained.overlap_same_label:.0%} where the answer is the same), by chance "
        f"{trained.overlap_shuffled:.0%}: the pathway "
        + (
            "depends on the input."
            if trained.overlap < (1 + trained.overlap_shuffled) / 2
            else "is mostly the same for all inputs."
        )
    )
    return said


def _concentration(model: PathwayClassifier, rows: LabelledRows, seed: int) -> Concentration:
    """Measure how importance is spread over the units of a model."""
    pad_id = int(model.config.pad_token_id or 0)
    batches = list(bucketed_batches(rows.encoded, None, BATCH, pad_id=pad_id))
    importance = input_importance(model, batches, means=unit_means(model, batches)).numpy()
    with torch.no_grad():
        logits = [model(batch.input_ids, batch.attention_mask).logits for batch in batches]
    labels = torch.cat(logits).argmax(dim=-1).numpy()
    return concentration(importance.astype(np.float64), labels, rng=np.random.default_rng(seed))
