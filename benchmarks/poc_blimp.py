"""BLiMP acceptability: is a sentence acceptable? The whole PoC per seed, and its figures.

    python benchmarks/poc_blimp.py --data DATA [--seeds 0 1 2] [--minutes 45]

DATA holds `BLiMP.zip`, 67 files of minimal pairs in JSON lines. Each sentence is a row labelled
acceptable or not; 10,000 pairs train, 2,000 other pairs test, no pair is split.
"""

import csv
import json
import random
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from _poc import Task, run_task

MINUTES = 140
TRAIN_PAIRS, TEST_PAIRS = 10_000, 2_000

TASK = Task(
    name="BLiMP",
    minutes=45,
    accuracy_target=None,
    lead_target=12.0,
    speed_targets=((1.0, 2.0), (3.0, 3.0)),
    dynamic_target=1.0,
    int8_target=None,
    group_column="pair",
)


def prepare(data: Path, place: Path, seed: int) -> tuple[Path, Path]:
    """Write the two tables of a seed."""
    pairs = []
    with zipfile.ZipFile(data / "BLiMP.zip") as archive:
        for name in sorted(archive.namelist()):
            # Apple's archiver adds a file of its own beside each.
            if name.endswith(".jsonl") and not name.startswith("__MACOSX"):
                lines = archive.read(name).decode().splitlines()
                pairs += [json.loads(line) for line in lines]
    random.Random(seed).shuffle(pairs)
    seen: set[str] = set()
    chosen = []
    for pair in pairs:
        good, bad = pair["sentence_good"], pair["sentence_bad"]
        if good not in seen and bad not in seen:
            seen |= {good, bad}
            chosen.append((good, bad))
    train, test = place / "train.csv", place / "test.csv"
    numbered = [(f"pair {number}", *pair) for number, pair in enumerate(chosen)]
    _write(train, numbered[:TRAIN_PAIRS], seed)
    _write(test, numbered[TRAIN_PAIRS : TRAIN_PAIRS + TEST_PAIRS], seed)
    return train, test


def _write(path: Path, pairs: list[tuple[str, str, str]], seed: int) -> None:
    """Write both sentences of each pair, in an order that says nothing."""
    rows = [(good, "acceptable", name) for name, good, _ in pairs]
    rows += [(bad, "not", name) for name, _, bad in pairs]
    random.Random(seed).shuffle(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label", "pair"))
        writer.writerows(rows)


if __name__ == "__main__":
    run_task(TASK, prepare, "poc_blimp")
