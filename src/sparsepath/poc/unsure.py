"""From which confidence on a candidate may answer without a person, chosen on validation rows."""

from collections.abc import Mapping, Sequence

import numpy as np

from sparsepath.artifacts.analysis import AloneFigures
from sparsepath.evaluate.ensemble import answer_alone
from sparsepath.poc.answers import valid_answers
from sparsepath.poc.comparison import Answered
from sparsepath.poc.state import Draft
from sparsepath.poc.workspace import Workspace

RISK = 0.05
"""Share of wrong answers that is allowed among those given alone."""

LEVEL = 0.9
"""Probability with which it is kept."""


def alone_figures(
    work: Workspace, drafts: Mapping[str, Draft], answered: Answered, names: Sequence[str]
) -> list[AloneFigures]:
    """Choose thresholds on validation rows and tell what they give on test rows.

    Args:
        work: The run.
        drafts: Candidates by name.
        answered: What they said about test rows.
        names: Which of them.
    """
    return [_figures(work, drafts[name], answered) for name in dict.fromkeys(names)]


def _figures(work: Workspace, draft: Draft, answered: Answered) -> AloneFigures:
    """Look at one candidate."""
    chosen_on = valid_answers(work, draft)
    probabilities = np.concatenate([chosen_on, answered.probabilities[draft.name]])
    truth = np.concatenate([work.valid.labels.numpy(), answered.truth])
    is_calibration = np.arange(len(truth)) < len(chosen_on)
    found = answer_alone(probabilities, truth, is_calibration, risk=RISK, level=LEVEL)
    return AloneFigures(name=draft.name, **found._asdict())
