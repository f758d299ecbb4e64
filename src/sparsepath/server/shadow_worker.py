"""The new model in a process of its own: what it does wrong, it does to itself alone.

Reads one line of JSON a request on standard input and writes one line a reply. It runs with the
lowest priority, so that the counted answers come first, and ends when its input does.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from sparsepath.errors import SparsepathError
from sparsepath.runtime.manifest import Precision
from sparsepath.server.classifier import Classifier

BATCH = 32
"""Texts that go through the graph together."""


def main(folder: str, precision: Precision, threads: int) -> None:
    """Load a model, say so, and answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(19)
    try:
        model = Classifier(Path(folder), precision=precision, threads=threads, batch=BATCH)
    except SparsepathError as err:
        _tell({"failed": err.message})
        return
    _tell({"sha256": model.sha256, "labels": model.labels, "memory_bytes": _memory()})
    for line in sys.stdin:
        _tell(_reply(model, json.loads(line)))


def _reply(model: Classifier, texts: list[str]) -> dict[str, Any]:
    """Answer texts; of a failure give only the kind, since its message may hold a text."""
    begun, used = time.perf_counter(), time.process_time()
    try:
        rows = [answer.probabilities.tolist() for answer in model.answer(texts)]
        told: dict[str, Any] = {"probabilities": rows}
    except Exception as err:  # noqa: BLE001 - whatever a candidate does is counted, not raised
        told = {"error": type(err).__name__}
    told["ms"] = 1000 * (time.perf_counter() - begun)
    told["cpu_s"] = time.process_time() - used
    told["memory_bytes"] = _memory()
    return told


def _memory() -> int:
    return int(psutil.Process().memory_info().rss)


def _tell(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], "int8" if sys.argv[2] == "int8" else "fp32", int(sys.argv[3]))
