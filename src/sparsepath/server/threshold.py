"""From which confidence on a model answers without a person: a number, or what its PoC found."""

from pathlib import Path
from typing import Final

from sparsepath.artifacts.analysis import Analysis
from sparsepath.artifacts.store import read_json
from sparsepath.errors import ConfigError
from sparsepath.runtime.locate import locate_model

FROM_POC: Final = "poc"
"""Stands for what the run of the model found."""

_FILE: Final = "analysis.json"


def read_threshold(told: str, model: Path) -> float:
    """Read a threshold.

    Args:
        told: a probability above 0 and up to 1, or `poc`.
        model: a model folder of a run, or a run folder.

    Raises:
        ConfigError: if it is neither, or the run found none for this model.
        ModelError: if there is no such folder.
        RunError: if the run's files cannot be read.
    """
    if told == FROM_POC:
        return _found(locate_model(model).resolve())
    try:
        return float(told)
    except ValueError as err:
        raise ConfigError(
            f"{told!r} is no probability", hint=f"give a number such as 0.8, or `{FROM_POC}`"
        ) from err


def _found(folder: Path) -> float:
    """Give what a run found for the model in one of its folders."""
    file = folder.parent.parent / _FILE
    if not file.is_file():
        raise ConfigError(f"{folder} is no model of a run", hint="give a probability such as 0.8")
    alone = {found.name: found.threshold for found in read_json(file, Analysis).alone}
    threshold = alone.get(folder.name)
    if threshold is None:
        known = ", ".join(name for name, found in alone.items() if found is not None) or "none"
        raise ConfigError(
            f"the run found no confidence from which {folder.name} may answer alone",
            hint=f"give a probability such as 0.8; models with one: {known}",
        )
    return threshold
