"""Energy of the processor, where Linux tells it: RAPL counters below `/sys/class/powercap`.

Counters are of whole packages. A model's part is that of its CPU seconds among all CPU seconds that
the machine spent meanwhile, so an idle machine's energy counts for those who used it.
"""

from pathlib import Path
from typing import Final, final

import psutil

POWERCAP: Final = Path("/sys/class/powercap")


@final
class EnergyMeter:
    """Shares the machine's energy out among models, by their CPU seconds."""

    def __init__(self, root: Path = POWERCAP) -> None:
        """Find the counters that this process may read."""
        found = sorted(root.glob("intel-rapl:*")) if root.is_dir() else []
        packages = [place for place in found if place.name.count(":") == 1]
        self._ranges = {
            place / "energy_uj": _read(place / "max_energy_range_uj") or 0 for place in packages
        }
        self._before = self._counters()
        self._busy_s = _busy_s()

    @property
    def is_measured(self) -> bool:
        """Whether this machine tells its energy."""
        return self._before is not None

    def shares(self, cpu_s: list[float]) -> list[float | None]:
        """Give each model's energy since the last call, in joules; None: not measured.

        Args:
            cpu_s: CPU seconds of each model since then.
        """
        after, busy_s = self._counters(), _busy_s()
        before, spent_s = self._before, busy_s - self._busy_s
        self._before, self._busy_s = after, busy_s
        if before is None or after is None:
            return [None] * len(cpu_s)
        joules = 0.0
        for path, now in after.items():
            grown = now - before.get(path, now)
            joules += (grown if grown >= 0 else grown + self._ranges[path]) / 1e6
        return [joules * min(1.0, used / max(spent_s, sum(cpu_s), 1e-9)) for used in cpu_s]

    def _counters(self) -> dict[Path, int] | None:
        """Read every counter, microjoules; None where there is none or one cannot be read."""
        found: dict[Path, int] = {}
        for path in self._ranges:
            value = _read(path)
            if value is None:
                return None
            found[path] = value
        return found or None


def _read(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _busy_s() -> float:
    """CPU seconds that the whole machine spent working."""
    times = psutil.cpu_times()
    waiting = times.idle + getattr(times, "iowait", 0.0)
    return float(sum(times) - waiting - getattr(times, "guest", 0.0))
