"""What a PoC says while it works: the stage, the time left, and what is being learnt.

On a terminal one line is redrawn; elsewhere there is a plain line at each change of stage and one
in ten seconds. Everything goes to standard error.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.status import Status

from sparsepath.poc.plan import STAGE_WEIGHTS, TimePlan

SECONDS_BETWEEN_LINES = 10.0
"""Least time between two plain lines of one stage."""


class Progress:
    """Tells a person how a run goes."""

    def __init__(self, plan: TimePlan, stream: TextIO | None = None) -> None:
        """Write to `stream`, standard error unless given."""
        self._plan = plan
        self._console = Console(file=stream or sys.stderr, highlight=False)
        self._status: Status | None = None
        self._stage, self._last_line_s = "", 0.0

    @contextmanager
    def stage(self, name: str, budget_s: float) -> Iterator[None]:
        """Announce a stage and its time."""
        number = list(STAGE_WEIGHTS).index(name) + 1
        self._stage = f"[{number}/{len(STAGE_WEIGHTS)}] {name}"
        self._last_line_s = 0.0
        if self._console.is_terminal:
            self._status = self._console.status(self._stage)
            self._status.start()
        try:
            self.say(f"about {format_seconds(budget_s)}")
            yield
        finally:
            if self._status:
                self._status.stop()
            self._status = None

    def say(self, message: str) -> None:
        """Say what is being done or learnt now; too frequent messages are dropped."""
        now = time.monotonic()
        line = f"{self._stage}: {message} ({format_seconds(self._plan.left_s)} left)"
        if self._status:
            self._status.update(line.replace("[", r"\["))
        elif now - self._last_line_s >= SECONDS_BETWEEN_LINES:
            self._last_line_s = now
            self._print(line)

    def note(self, message: str) -> None:
        """Print a line that stays."""
        self._print(message)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)


def format_seconds(seconds: float) -> str:
    """Write a span of time as a person would: `45 s`, `3 min 05 s`."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"
