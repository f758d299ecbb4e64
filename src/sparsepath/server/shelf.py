"""Catalogues of neurons that are open, each asked in one thread.

A catalogue is checked against its model when it is opened, which may mean reading all of the
model, so it stays open; it is opened again when the file was replaced.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, final

from sparsepath.artifacts.catalogue import Catalogue

ResultT = TypeVar("ResultT")

Stamp = tuple[int, int]


@final
class Shelf:
    """Opens catalogues when they are first asked."""

    def __init__(self) -> None:
        # SQLite's connections stay in the thread that made them.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="catalogues")
        self._open: dict[Path, tuple[Stamp, Catalogue]] = {}

    async def ask(self, path: Path, question: Callable[[Catalogue], ResultT]) -> ResultT:
        """Ask a catalogue something.

        Args:
            path: of its file.
            question: gets the catalogue; runs in the shelf's thread.

        Raises:
            RunError: if it cannot be opened; and what the question raises.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._asked, path, question)

    def close(self) -> None:
        """Close every catalogue, after what is being asked."""
        self._pool.submit(self._close_all)
        self._pool.shutdown(wait=True)

    def _asked(self, path: Path, question: Callable[[Catalogue], ResultT]) -> ResultT:
        facts = path.stat() if path.is_file() else None
        stamp = (0, 0) if facts is None else (facts.st_ino, facts.st_dev)
        known = self._open.get(path)
        if known is None or known[0] != stamp:
            if known is not None:
                self._open.pop(path)[1].close()
            self._open[path] = (stamp, Catalogue(path))
        return question(self._open[path][1])

    def _close_all(self) -> None:
        while self._open:
            self._open.popitem()[1][1].close()
