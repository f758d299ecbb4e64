"""One line of JSON an event, on standard error. Texts of users are in it only where asked for."""

import json
import logging
import sys
import traceback
from typing import Final, final

from sparsepath.audit.clock import now

LOGGER: Final = logging.getLogger("sparsepath.server")


def log(event: str, **facts: object) -> None:
    """Write an event with its facts."""
    if LOGGER.isEnabledFor(logging.INFO):
        # Made here: `LOGGER.info` would first look for the line of code that calls it.
        record = logging.LogRecord(LOGGER.name, logging.INFO, "", 0, event, (), None)
        record.facts = facts
        LOGGER.handle(record)


def set_up_logs() -> None:
    """Send our events, and the warnings of uvicorn, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    for name, level in (("sparsepath.server", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


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
        return json.dumps(told, ensure_ascii=True, default=str)
