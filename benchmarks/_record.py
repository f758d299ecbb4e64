"""How long a lone record of the audit log takes, and how much of it is the disk."""

import asyncio
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

from pydantic import JsonValue

from sparsepath.audit.database import open_database
from sparsepath.audit.record import Draft
from sparsepath.server.journal import Journal
from sparsepath.server.metrics import Metrics

N_RECORDS = 500
WARM_RECORDS = 300
RECORD_BYTES = 4 * 4096
"""Pages of SQLite that a record changes."""


class Alone(NamedTuple):
    """Medians of a record that is written alone, and of what it waits for, in turn; in ms."""

    record: float
    """To the disk and back."""
    disk: float
    """Only the disk: as many bytes as the record's pages have, overwritten, and `fdatasync`."""
    beside: float
    """The record without a disk: in memory, where there is a file system in memory."""


def record_ms() -> Alone:
    """Measure records that are written alone."""

    async def measured() -> Alone:
        facts: dict[str, JsonValue] = {
            "label": "a",
            "probability": 0.5,
            "by": "local",
            "latency_ms": 1.0,
        }
        memory = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
        times: list[list[float]] = [[], [], []]
        with ExitStack() as stack:
            place = stack.enter_context(tempfile.TemporaryDirectory())
            beside = stack.enter_context(tempfile.TemporaryDirectory(dir=memory))
            file = os.open(f"{place}/file", os.O_CREAT | os.O_RDWR)
            stack.callback(os.close, file)
            journals = []
            for folder in (place, beside):
                database = stack.enter_context(open_database(f"{folder}/log.db"))
                journals.append(Journal(database, keep_texts=False, metrics=Metrics()))
            running = [asyncio.create_task(journal.run()) for journal in journals]

            async def write(journal: Journal) -> None:
                await journal.write([Draft(kind="decision", body=facts, texts={"input": "text"})])

            for turn in range(WARM_RECORDS + N_RECORDS):
                for own, journal in zip((times[0], times[2]), journals, strict=True):
                    begun = time.perf_counter()
                    await write(journal)
                    own.append(time.perf_counter() - begun)
                begun = time.perf_counter()
                os.pwrite(file, bytes([turn % 256]) * RECORD_BYTES, 0)
                os.fdatasync(file)
                times[1].append(time.perf_counter() - begun)
            for journal in journals:
                journal.close()
            await asyncio.gather(*running)
        return Alone(*(1000 * median(own[WARM_RECORDS:]) for own in times))

    return asyncio.run(measured())
