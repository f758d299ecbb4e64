"""What a run folder knows of a model's answers to the PoC's test rows."""

from pathlib import Path
from typing import NamedTuple

from sparsepath.artifacts.analysis import Analysis
from sparsepath.artifacts.answer_mix import BINS, AnswerMix, bin_of
from sparsepath.artifacts.schema import Results
from sparsepath.artifacts.store import read_json
from sparsepath.errors import RunError


class Reference(NamedTuple):
    """What answers are compared with."""

    mix: AnswerMix | None
    """None: nothing is known."""
    labels: list[str]
    """In the order of the counts."""
    why: str
    """Where it is from, or why there is none."""


def read_reference(folder: Path, precision: str) -> Reference:
    """Find how a model answered the test rows of the run that it belongs to.

    Args:
        folder: of the model, `RUN/models/NAME`.
        precision: of the graph that runs.
    """
    run = folder.resolve().parent.parent
    if not (run / "results.json").is_file():
        return Reference(None, [], f"{folder} lies in no run folder, so its PoC is not known")
    try:
        results = read_json(run / "results.json", Results)
        analysis = read_json(run / "analysis.json", Analysis)
    except RunError as err:
        return Reference(None, [], err.message)
    place = folder.resolve().relative_to(run).as_posix()
    names = [c.name for c in results.candidates if (c.folder, c.precision) == (place, precision)]
    for name in names:
        mix = analysis.mixes.get(name) or _older(analysis, name)
        if mix is not None:
            return Reference(mix, results.data.labels, f"{sum(mix.labels)} test rows of {run.name}")
    return Reference(
        None, [], f"the run {run.name} keeps no answers of {folder.name} in {precision}"
    )


def _older(analysis: Analysis, name: str) -> AnswerMix | None:
    """Put together what a run kept before it kept mixes: no entropy."""
    confusion, calibration = analysis.confusion.get(name), analysis.calibration.get(name)
    if confusion is None:
        return None
    confidence: list[int] = []
    if calibration is not None:
        confidence = [0] * BINS
        for row in calibration.bins:
            if row.confidence is not None:
                confidence[bin_of(row.confidence)] += row.n
    labels = [sum(column) for column in zip(*confusion.matrix, strict=True)]
    return AnswerMix(labels=labels, confidence=confidence, entropy=[])
