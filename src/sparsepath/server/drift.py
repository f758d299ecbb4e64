"""Comparing what the served models answer with their PoCs, while the server runs."""

import asyncio
from pathlib import Path
from typing import Final, final

from sparsepath.audit.database import Database
from sparsepath.audit.drift.monitor import DriftState, Monitor
from sparsepath.audit.drift.reference import read_reference
from sparsepath.audit.rollout.model import model_key
from sparsepath.errors import RunError
from sparsepath.server.logs import log
from sparsepath.server.rollout import Follower
from sparsepath.server.serving_classifier import ServedClassifier

LOOK_EVERY_S: Final = 2.0


@final
class DriftWatch:
    """Has a monitor for every model that answers, or answers beside."""

    def __init__(
        self, follower: Follower[ServedClassifier], database: Database, window: int
    ) -> None:
        """Watch what a follower lets answer, in windows of so many answers."""
        self._follower, self._database, self._window = follower, database, window
        self._monitors: dict[str, Monitor] = {}

    @property
    def states(self) -> dict[str, DriftState]:
        """What is known, by the model's key."""
        return {key: monitor.state for key, monitor in self._monitors.items()}

    @property
    def open(self) -> dict[str, int]:
        """Answers of the windows that are not full yet."""
        return {key: monitor.n_open for key, monitor in self._monitors.items()}

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.look)
            except RunError as err:
                log("drift not measured", why=err.message)
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Look once at every model.

        Raises:
            RunError: if the database cannot be read or written to.
        """
        before = {key for key, state in self.states.items() if state.is_alarm}
        self._monitors = self._wanted()
        for monitor in self._monitors.values():
            monitor.advance(self._database)
        for key, state in self.states.items():
            if state.is_alarm != (key in before):
                log("drift", model=state.name, is_alarm=state.is_alarm)

    def _wanted(self) -> dict[str, Monitor]:
        """Give the monitors of those that answer now; those that stay go on."""
        rollout, base = self._follower.rollout, self._follower.base.model
        own = model_key(base.sha256, base.precision)
        models: dict[str, tuple[str, Path, str]] = {own: (base.name, base.folder, base.precision)}
        if rollout is not None and rollout.stage != "rolled-back":
            for ref in (rollout.old, rollout.new):
                models[ref.key] = ref.name, Path(ref.folder), ref.precision
        wanted = {}
        for key, (name, folder, precision) in models.items():
            monitor = self._monitors.get(key)
            if monitor is None:
                reference = read_reference(folder, precision)
                monitor = Monitor(key, name, reference, self._window)
            is_beside = rollout is not None and rollout.stage == "shadow"
            is_new = rollout is not None and key == rollout.new.key
            monitor.rollout = rollout.id if rollout is not None and is_beside and is_new else None
            wanted[key] = monitor
        return wanted
