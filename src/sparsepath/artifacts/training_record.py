"""Read `train.jsonl`, what a training leaves of its steps; `train/record.py` writes it."""

import json
import math
from pathlib import Path
from typing import Any

RECORD_FILE = "train.jsonl"


def read_record(folder: Path) -> list[dict[str, Any]]:
    """Read all whole lines of a run; none if there is no file."""
    path = folder / RECORD_FILE
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue  # the last line of a run that was killed
    return found


def trained_tokens_per_byte(folder: Path) -> float | None:
    """Give the tokens that the training's own held-out text took for a byte; None if unknown.

    Args:
        folder: of the run of a language model.
    """
    for line in reversed(read_record(folder)):
        bits, nats = line.get("bits_per_byte"), line.get("loss_nats")
        if line.get("kind") == "evaluation" and bits and nats:
            return float(bits) / (float(nats) / math.log(2))
    return None
