"""What a training says while it works: step, loss, speed and the time left, on standard error."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.status import Status

SECONDS_BETWEEN_LINES = 10.0
"""Least time between two plain lines where there is no terminal."""


class TrainingProgress:
    """One line that is redrawn on a terminal; elsewhere a plain line now and then."""

    def __init__(self, n_steps: int, *, is_shown: bool) -> None:
        """Say nothing if not shown."""
        self._n_steps, self._is_shown = n_steps, is_shown
        self._console = Console(file=sys.stderr, highlight=False)
        self._status: Status | None = None
        self._last_line_s = self._first_s = 0.0
        self._first_step = 0

    def __enter__(self) -> "TrainingProgress":
        """Begin."""
        if self._is_shown and self._console.is_terminal:
            self._status = self._console.status("training")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        if self._status is not None:
            self._status.stop()

    def say(self, step: int, learnt: str, tokens_a_step: int) -> None:
        """Say where the training is.

        Args:
            step: steps done.
            learnt: loss and whatever else changes.
            tokens_a_step: for the speed.
        """
        now = time.monotonic()
        if not self._first_step:
            self._first_step, self._first_s = step, now
        done = step - self._first_step
        if not self._is_shown or not done:
            return
        step_s = (now - self._first_s) / done
        left = round(step_s * (self._n_steps - step))
        line = (
            f"step {step} of {self._n_steps}, {learnt}, {tokens_a_step / step_s:,.0f} tokens/s, "
            f"{left // 60} min {left % 60:02d} s left"
        )
        if self._status is not None:
            self._status.update(line)
        elif now - self._last_line_s >= SECONDS_BETWEEN_LINES:
            self._last_line_s = now
            self.note(line)

    def note(self, line: str) -> None:
        """Print a line that stays."""
        if self._is_shown:
            self._console.print(line, markup=False, soft_wrap=True)
