"""One line of JSON an event, on standard error. Texts of users are in it only where asked for."""

import asyncio
import json
import logging
import sys
import threading
import traceback
from contextlib import suppress
from typing import Final, TextIO, final

from sparsepath.audit.clock import now

LOGGER: Final = logging.getLogger("sparsepath.server")

_ENCODER: Final = json.JSONEncoder(ensure_ascii=True, default=str)


def log(event: str, **facts: object) -> None:
    """Write an event with its facts."""
    handler = next(iter(LOGGER.handlers), None)
    if isinstance(handler, _Lines):
        handler.tell(event, facts)
    else:
        LOGGER.info(event, extra={"facts": facts})


def set_up_logs() -> None:
    """Send our events, and the warnings of uvicorn, to standard error."""
    handler = _Lines()
    handler.setFormatter(_JsonLines())
    for name, level in (("sparsepath.server", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


@final
class _Lines(logging.StreamHandler[TextIO]):
    """Writes what one turn of an event loop tells at once, when the turn ends.

    A line a request by way of `logging` takes a fifth of a light answer's time.
    """

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._held: list[str] = []
        self._alone = threading.Lock()

    def tell(self, event: str, facts: dict[str, object]) -> None:
        """Write an event; within a loop when its turn ends."""
        line = _ENCODER.encode({"time": now(), "level": "info", "event": event} | facts)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a thread
            self._write([line])
            return
        self._held.append(line)
        if len(self._held) == 1:
            loop.call_soon(self._release)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record behind what was told before it."""
        self._release()
        super().emit(record)

    def close(self) -> None:
        """Write what is left."""
        self._release()
        super().close()

    def _release(self) -> None:
        held, self._held = self._held, []
        if held:
            self._write(held)

    def _write(self, lines: list[str]) -> None:
        with self._alone, suppress(OSError, ValueError):  # nobody reads; answers go on
            self.stream.write("\n".join(lines) + "\n")
            self.stream.flush()


@final
class _JsonLines(logging.Formatter):
    """Writes a log record as one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a line; of an exception its kind and place, since its message may hold a text."""
        told: dict[str, object] = {"time": now(), "level": record.levelname.lower()}
        told |= {"event": record.getMessage()} | getattr(record, "facts", {})
        if record.exc_info and record.exc_info[0] is not None:
            told["event"] = "exception"
            told["exception"] = record.exc_info[0].__name__
            told["where"] = traceback.format_tb(record.exc_info[2])[-5:]
        return _ENCODER.encode(told)
