"""`train.jsonl`: what happened at each step of a training, a line each, written at once.

Lines of kind `step` have `step` (steps done), `loss_nats`, `lr`, `tokens` (so far), `wall_s` (so
far) and `keep`; of kind `evaluation` the scores of a look at held-out rows; of kind `neurons` what
sparse sites keep and the shares of neurons that never or always fired; of kind `event` what
happened, such as `started` or `resumed`.
"""

import json
from pathlib import Path
from typing import Any

from sparsepath.artifacts.store import write_text_atomic
from sparsepath.artifacts.training_record import RECORD_FILE, read_record
from sparsepath.train.tensorboard import Events


class Record:
    """Appends to the file of a run."""

    def __init__(self, folder: Path, *, step: int, events: Events | None = None) -> None:
        """Open it, without what came after a step: those steps are done again.

        Args:
            folder: of the run.
            step: steps done.
            events: gets every line as well.
        """
        self._events = events
        self.path = folder / RECORD_FILE
        kept = [line for line in read_record(folder) if line["step"] <= step]
        write_text_atomic(self.path, "".join(json.dumps(line) + "\n" for line in kept))

    def add(self, kind: str, step: int, **facts: Any) -> None:
        """Write one line."""
        line = json.dumps({"kind": kind, "step": step, **facts})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        if self._events is not None:
            self._events.add(kind, step, facts)

    def close(self) -> None:
        """End the event files, if there are any; the record itself is always whole."""
        if self._events is not None:
            self._events.close()
