"""Shows a training in TensorBoard: the numbers of `train.jsonl`, as event files beside it."""

from pathlib import Path
from typing import Any

from sparsepath.errors import needs_extra

EVENTS_FOLDER = "tensorboard"

NO_CURVE = {"n", "tokens", "wall_s"}
"""Facts of a line that are no curves of their own."""


class Events:
    """Writes the numbers of lines as curves, named by kind and part: `step/loss_nats`."""

    def __init__(self, folder: Path, *, step: int) -> None:
        """Open the event files of a run; what they hold beyond a step is hidden.

        Args:
            folder: of the run.
            step: steps done.

        Raises:
            MissingExtraError: if TensorBoard is not installed.
        """
        with needs_extra("tensorboard", "train.tensorboard"):
            from torch.utils.tensorboard import SummaryWriter
        self._writer = SummaryWriter(str(folder / EVENTS_FOLDER), purge_step=step + 1)

    def add(self, kind: str, step: int, facts: dict[str, Any]) -> None:
        """Write the numbers of one line."""
        for site, values in facts.get("sites", {}).items():
            self.add(f"{kind}/{site}", step, values)
        group = facts.get("part", kind)
        for name, value in facts.items():
            if isinstance(value, int | float) and name not in NO_CURVE:
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        """Write what is not yet on disk."""
        self._writer.close()
