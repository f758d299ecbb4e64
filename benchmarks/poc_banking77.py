"""Banking77 with its official test set: the whole PoC per seed, and its figures.

    python benchmarks/poc_banking77.py --data DATA [--seeds 0 1 2] [--minutes 15]

DATA holds `banking77_train.csv.xz` and `banking77_test.csv.xz` (columns text, category).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from _poc import Task, run_task

MINUTES = 48

TASK = Task(
    name="Banking77",
    minutes=15,
    accuracy_target=0.935,
    lead_target=None,
    speed_targets=((0.5, 3.0), (1.0, 6.0), (2.0, 20.0)),
    dynamic_target=None,
    int8_target=3.0,
)


def prepare(data: Path, place: Path, seed: int) -> tuple[Path, Path]:
    """Use the files as they are."""
    return data / "banking77_train.csv.xz", data / "banking77_test.csv.xz"


if __name__ == "__main__":
    run_task(TASK, prepare, "poc_banking77")
