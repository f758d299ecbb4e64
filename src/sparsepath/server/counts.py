"""What this server counts of both models of a rollout."""

from typing import Final, NamedTuple, final

import psutil

from sparsepath.audit.database import Database
from sparsepath.audit.rollout.state import Rollout, Stage
from sparsepath.audit.rollout.tally import ShadowAnswer, Tally, save
from sparsepath.errors import RunError
from sparsepath.server.energy import EnergyMeter
from sparsepath.server.shadow import Compared

MAX_PENDING: Final = 100_000
"""Answers of the shadow stage that are held while the database is away."""


class Used(NamedTuple):
    """CPU seconds that engines have used since the server began."""

    old_s: float
    new_s: float


@final
class Counts:
    """Tallies of the stage that goes on, and what of them is not in the database yet."""

    def __init__(self, server: str) -> None:
        """Count for a server's id."""
        self._server = server
        self._energy = EnergyMeter()
        self._rollout: Rollout | None = None
        self._pending: list[ShadowAnswer] = []
        self._used = Used(0.0, 0.0)
        self._is_changed = False
        self.tally = Tally()

    def begin(self, rollout: Rollout | None, used: Used) -> None:
        """Count for a rollout's stage from now on; nothing changes if it is the same."""
        if self._place(rollout) != self._place(self._rollout):
            self.tally, self._pending, self._is_changed = Tally(), [], rollout is not None
            self._used = used
            self._energy.shares([])
        self._rollout = rollout

    @property
    def limit_ms(self) -> float | None:
        """What the gate of the latency allows."""
        gate = None if self._rollout is None else self._rollout.rules.gates.latency_p95_ms
        return None if gate is None else gate.limit

    def request(self, n_texts: int, ms: float, n_tokens: int = 0, *, is_new: bool) -> None:
        """Count a request that was answered, with its time, of a language model a token."""
        one = self.tally.new if is_new else self.tally.old
        one.add_request(n_texts, ms, self.limit_ms, n_tokens)
        self._is_changed = True

    def failed(self, n_texts: int, *, is_new: bool) -> None:
        """Count texts in which a model failed."""
        one = self.tally.new if is_new else self.tally.old
        one.errors += n_texts
        self._is_changed = True

    def compared(self, rollout: int, n_texts: int, found: Compared | None) -> None:
        """Count what the new model said in the shadow stage of a rollout; None: it failed."""
        if self._rollout is None or (self._rollout.id, self._rollout.stage) != (rollout, "shadow"):
            return  # it came after the stage had ended
        if found is None:
            self.failed(n_texts, is_new=True)
            return
        self.request(n_texts, found.ms, found.n_tokens, is_new=True)
        self.tally.compared += n_texts
        self.tally.agreed += found.agreed
        room = MAX_PENDING - len(self._pending)
        self._pending += found.answers[: max(0, room)]

    def settle(
        self, used: Used, *, dropped: int, memory_bytes: int | None, note: str | None
    ) -> None:
        """Add CPU seconds and energy since the last time; take over the rest.

        Args:
            used: CPU seconds since the server began.
            dropped: texts that the shadow stage dropped.
            memory_bytes: of the new model.
            note: why this server does not follow.
        """
        tally = self.tally
        # A model that was put away takes its count with it.
        before = self._used
        spent = [max(0.0, used.old_s - before.old_s), max(0.0, used.new_s - before.new_s)]
        self._used = used
        models = tally.old, tally.new
        for one, cpu_s, joules in zip(models, spent, self._energy.shares(spent), strict=True):
            one.cpu_s += cpu_s
            if joules is not None:
                one.joules = (one.joules or 0.0) + joules
        self._is_changed |= any(spent) or (tally.dropped, tally.note) != (dropped, note)
        tally.dropped, tally.note = dropped, note
        tally.old.memory_bytes = int(psutil.Process().memory_info().rss)
        tally.new.memory_bytes = memory_bytes

    def save(self, database: Database, *, must: bool = False) -> None:
        """Put what changed into the database; what cannot be written waits for the next time.

        Args:
            database: of the rollout.
            must: write even if nothing changed, to say that this server lives.

        Raises:
            RunError: if it cannot be written to.
        """
        if self._rollout is None or not (self._is_changed or must):
            return
        sent, n = self._rollout, len(self._pending)
        answers = self._pending[:n]
        self._is_changed = False
        try:
            save(database, sent.id, sent.stage, self._server, self.tally, answers)
        except RunError:
            self._is_changed = True
            raise
        if self._place(sent) == self._place(self._rollout):
            del self._pending[:n]

    @staticmethod
    def _place(rollout: Rollout | None) -> tuple[int, Stage] | None:
        return None if rollout is None else (rollout.id, rollout.stage)
