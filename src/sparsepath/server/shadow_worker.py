"""The new model in a process of its own: what it does wrong, it does to itself alone.

Reads one line of JSON a request on standard input and writes one line a reply. It runs with the
lowest priority, so that the counted answers come first, and ends when its input does.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import psutil

from sparsepath.config import Form
from sparsepath.errors import SparsepathError
from sparsepath.runtime.manifest import Precision
from sparsepath.server.classifier import Classifier
from sparsepath.server.language import LanguageModel

Answer = Callable[[Any], dict[str, Any]]
"""Gives what a model says about a request."""

BATCH = 32
"""Texts that go through the graph together."""


def main(kind: str, folder: str, precision: str, threads: int) -> None:
    """Load a model, say so, and answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(19)
    try:
        model, answer = _KINDS[kind](Path(folder), precision, threads)
    except SparsepathError as err:
        _tell({"failed": err.message})
        return
    _tell({"sha256": model.sha256, "labels": model.labels, "memory_bytes": _memory()})
    for line in sys.stdin:
        _tell(_reply(answer, json.loads(line)))


def _classifier(folder: Path, precision: str, threads: int) -> tuple[Classifier, Answer]:
    """Load a classifier, which gives probabilities."""
    chosen: Precision = "int8" if precision == "int8" else "fp32"
    model = Classifier(folder, precision=chosen, threads=threads, batch=BATCH)

    def answer(texts: list[str]) -> dict[str, Any]:
        return {"probabilities": [one.probabilities.tolist() for one in model.answer(texts)]}

    return model, answer


def _language_model(folder: Path, precision: str, threads: int) -> tuple[LanguageModel, Answer]:
    """Load a language model, which gives its likeliest token at each place of a text.

    It reads the old model's tokens one by one, as if it had written them itself: so the time of a
    token is that of writing, and the two stay comparable after they first differ.
    """
    model = LanguageModel(folder, form=cast("Form", precision), threads=threads)

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        return {"likeliest": model.likeliest(asked["prompt"], asked["tokens"])}

    return model, answer


_KINDS: Final[dict[str, Callable[[Path, str, int], tuple[Classifier | LanguageModel, Answer]]]] = {
    "classifier": _classifier,
    "language-model": _language_model,
}


def _reply(answer: Answer, asked: Any) -> dict[str, Any]:
    """Answer a request; of a failure give only the kind, since its message may hold a text."""
    begun, used = time.perf_counter(), time.process_time()
    try:
        told = answer(asked)
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
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
