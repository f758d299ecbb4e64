"""Which model a user means: a model folder, or a run folder's recommended model.

Base package only.
"""

from pathlib import Path
from typing import NamedTuple

from sparsepath.artifacts.schema import Candidate, Results
from sparsepath.artifacts.store import read_json, safe_join
from sparsepath.errors import ModelError
from sparsepath.runtime.manifest import Precision

RESULTS = "results.json"


class Located(NamedTuple):
    """A model folder and which of its graphs was meant."""

    folder: Path
    """The model folder."""

    precision: Precision
    """Precision that the run recommends; fp32 where a model folder was given."""


def locate(path: Path) -> Located:
    """Return the model that a path means.

    Args:
        path: A model folder, or a run folder, which stands for its recommended candidate.

    Raises:
        ModelError: if there is no folder, or the run has no recommended model on disk.
        RunError: if the run's results cannot be read.
    """
    if not path.is_dir():
        raise ModelError(
            f"no model folder at {path}",
            hint="give a folder such as RUN/models/NAME, or a run folder for its recommended model",
        )
    if not (path / RESULTS).is_file():
        return Located(path, "fp32")
    candidate = _recommended(path)
    assert candidate.folder is not None
    return Located(safe_join(path, candidate.folder), candidate.precision)


def locate_model(path: Path) -> Path:
    """Return the folder that `locate` finds, for uses that do not run a graph."""
    return locate(path).folder


def _recommended(run: Path) -> Candidate:
    """Find the recommended candidate of a run, which must have a folder.

    Raises:
        ModelError: if there is none.
    """
    results = read_json(run / RESULTS, Results)
    candidate = results.candidate(results.recommended.name) if results.recommended else None
    if candidate is None or candidate.folder is None:
        kept = ", ".join(sorted({item.folder for item in results.candidates if item.folder}))
        raise ModelError(
            f"the run {run} has no recommended model on disk",
            hint=f"name one of its models: {kept or 'none yet'}",
        )
    return candidate
