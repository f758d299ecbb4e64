"""How much CPU an engine in this process uses."""

import time
from collections.abc import Callable, Sequence
from typing import final

from sparsepath.server.classifier import Answer


@final
class Meter:
    """Stands before an engine and adds up its CPU seconds."""

    def __init__(self, answer: Callable[[Sequence[str]], list[Answer]], threads: int) -> None:
        """Stand before a function that answers; threads of its engine."""
        self._answer, self._threads = answer, threads
        self.cpu_s = 0.0
        """CPU seconds; with several threads of the engine the most that they can have used."""

    def __call__(self, texts: Sequence[str]) -> list[Answer]:
        """Answer, and count."""
        begun, used = time.perf_counter(), time.thread_time()
        try:
            return self._answer(texts)
        finally:
            if self._threads == 1:
                self.cpu_s += time.thread_time() - used
            else:
                self.cpu_s += self._threads * (time.perf_counter() - begun)
