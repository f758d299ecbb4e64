"""How much CPU an engine in this process uses."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final


@final
class Meter:
    """Stands beside an engine and adds up its CPU seconds."""

    def __init__(self, threads: int) -> None:
        """Begin with nothing; threads of the engine."""
        self._threads = threads
        self.cpu_s = 0.0
        """CPU seconds; with several threads of the engine the most that they can have used."""

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what the engine does inside the block, in one thread at a time."""
        begun, used = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            if self._threads == 1:
                self.cpu_s += time.thread_time() - used
            else:
                self.cpu_s += self._threads * (time.perf_counter() - begun)
