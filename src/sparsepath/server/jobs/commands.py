"""The command of each kind of job."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sparsepath.errors import RunError
from sparsepath.server.jobs import catalogue, poc, sweep, training

_KINDS: Final[dict[str, Callable[[dict[str, Any], Path], list[str]]]] = {
    catalogue.KIND: catalogue.command_of,
    poc.KIND: poc.command_of,
    sweep.KIND: sweep.command_of,
    training.KIND: training.command_of,
}


def command_of(kind: str, options: dict[str, Any], folder: Path) -> list[str]:
    """Write the command of a job, without the program's name.

    Args:
        kind: of the job.
        options: as the database keeps them.
        folder: of the job.

    Raises:
        RunError: if the kind is not known, as when a newer version put the job there.
    """
    if kind not in _KINDS:
        raise RunError(
            f"this version knows no jobs of the kind {kind!r}", hint="start the newer version"
        )
    return _KINDS[kind](options, folder)
