"""How the minutes of a PoC are divided among its stages.

Each stage gets its share of the time that is left when it starts, so time that one stage saves is
spent by the later ones, and time that one overran is taken from them; except for the few seconds
that the last stages need in any case.
"""

import math
import time
from collections.abc import Callable, Mapping

STAGE_WEIGHTS: Mapping[str, float] = {
    "read": 0.01,
    "baselines": 0.05,
    "full": 0.34,
    "score": 0.035,
    "extract": 0.075,
    "distil": 0.36,
    "topk": 0.06,
    "dynamic": 0.025,
    "measure": 0.10,
    "explain": 0.04,
    "report": 0.01,
}
"""Stages in order, with their usual share of the time."""

LEAST_S: Mapping[str, float] = {"dynamic": 4.0, "measure": 8.0, "explain": 1.0, "report": 1.0}
"""Seconds that the last stages take however short the run is: loading and quantising models. They
are set aside first, and only what is left beyond them is shared out."""

MOST_S: Mapping[str, float] = {
    "topk": 180.0,
    "dynamic": 60.0,
    "measure": 240.0,
    "explain": 150.0,
}
"""Seconds after which a stage has all it asks for on nearly any table; in a long run the rest is
better spent on training."""

RESERVE_SHARE = 0.04
"""Share of all time that no stage may plan with: writing files, starting processes."""


class TimePlan:
    """Knows how long each stage may take."""

    def __init__(
        self, total_s: float, used_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start the clock.

        Args:
            total_s: Seconds for the whole run.
            used_s: Seconds that earlier, interrupted runs used.
            clock: Seconds since some moment.
        """
        self.total_s = total_s
        self._clock = clock
        self._start = clock() - used_s

    @property
    def used_s(self) -> float:
        """Seconds used so far, earlier runs included."""
        return self._clock() - self._start

    @property
    def left_s(self) -> float:
        """Seconds left to plan with, never below zero."""
        return max(0.0, self.total_s * (1 - RESERVE_SHARE) - self.used_s)

    def budget_s(self, stage: str) -> float:
        """Give the seconds of a stage that starts now.

        Args:
            stage: A name in `STAGE_WEIGHTS`.
        """
        names = list(STAGE_WEIGHTS)
        remaining = names[names.index(stage) :]
        spare_s = max(0.0, self.left_s - sum(LEAST_S.get(name, 0.0) for name in remaining))
        most = {n: MOST_S.get(n, math.inf) - LEAST_S.get(n, 0.0) for n in remaining}
        return min(self.left_s, LEAST_S.get(stage, 0.0) + _shared(spare_s, most)[stage])


def _shared(seconds: float, most: Mapping[str, float]) -> dict[str, float]:
    """Share seconds out by weight; what a stage gets beyond its most goes to the others."""
    found: dict[str, float] = {}
    open_names = list(most)
    while open_names:
        whole = sum(STAGE_WEIGHTS[name] for name in open_names)
        shares = {name: seconds * STAGE_WEIGHTS[name] / whole for name in open_names}
        full = [name for name in open_names if shares[name] > most[name]]
        if not full:
            return found | shares
        found |= {name: most[name] for name in full}
        seconds -= sum(most[name] for name in full)
        open_names = [name for name in open_names if name not in full]
    return found
