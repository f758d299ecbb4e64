"""Lines of the log: one an event, in order, written when a turn of the loop ends."""

import asyncio
import io
import json
import logging
import sys
import threading
from collections.abc import Iterator

import pytest

from sparsepath.server.logs import LOGGER, log, set_up_logs


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.BytesIO]:
    stream = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(stream, "utf-8"))
    loggers = [LOGGER, logging.getLogger("uvicorn.error")]
    before = [(one, one.handlers, one.propagate, one.level) for one in loggers]
    set_up_logs()
    yield stream
    for one, handlers, propagate, level in before:
        one.handlers, one.propagate = handlers, propagate
        one.setLevel(level)


def events(written: io.BytesIO) -> list[str]:
    return [json.loads(line)["event"] for line in written.getvalue().splitlines()]


def test_what_a_turn_tells_is_written_when_it_ends(written: io.BytesIO) -> None:
    async def run() -> None:
        for place in range(3):
            log(f"event {place}", where="カ", ms=1.5)
        assert written.getvalue() == b""
        await asyncio.sleep(0)
        assert events(written) == ["event 0", "event 1", "event 2"]

    asyncio.run(run())
    told = json.loads(written.getvalue().splitlines()[0])
    assert (told["level"], told["where"], told["ms"]) == ("info", "カ", 1.5)
    assert list(told)[:3] == ["time", "level", "event"]
    assert written.getvalue().isascii()


def test_warnings_come_behind_what_was_told_before_them(written: io.BytesIO) -> None:
    async def run() -> None:
        log("first")
        logging.getLogger("uvicorn.error").warning("second")

    asyncio.run(run())
    assert events(written) == ["first", "second"]


def test_threads_write_at_once(written: io.BytesIO) -> None:
    thread = threading.Thread(target=log, args=("from a thread",))
    thread.start()
    thread.join()
    assert events(written) == ["from a thread"]


@pytest.mark.usefixtures("written")
def test_a_stream_that_is_gone_stops_nothing() -> None:
    handler = LOGGER.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(io.TextIOWrapper(io.BytesIO()))
    handler.stream.close()
    log("lost")
