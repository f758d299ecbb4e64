"""What a job says while it works: the end of its log, and how far it is."""

import re
from pathlib import Path
from typing import Final, NamedTuple

from sparsepath.server.jobs.process import LOG

MAX_TAIL: Final = 2000
"""Characters of a log's end that are told."""

MAX_CHUNK: Final = 65536
"""Bytes of a log that are read at once."""

_STEP: Final = re.compile(r"^\[(\d+)/(\d+)\] ([^:\n]{1,80}): (.*)$", re.MULTILINE)


_READ: Final = re.compile(r"^read ([\d,]{1,20}) tokens of ([\d,]{1,20})$", re.MULTILINE)
"""Said while a catalogue reads its corpus."""


class Progress(NamedTuple):
    """How far a job is."""

    step: int
    """From 1."""
    of: int
    stage: str
    told: str


def tail(folder: Path) -> str:
    """Give the end of a job's log; empty where it has none."""
    try:
        with (folder / LOG).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 4 * MAX_TAIL))
            return file.read().decode("utf-8", "replace")[-MAX_TAIL:]
    except OSError:
        return ""


def progress(text: str) -> Progress | None:
    """Read the newest stage from the end of a log; None where it names none."""
    steps = _STEP.findall(text)
    if not steps:
        reads = _READ.findall(text)
        if not reads:
            return None
        n, of_all = (int(told.replace(",", "")) for told in reads[-1])
        return Progress(min(n, of_all), of_all, "read", "")
    step, of, stage, told = steps[-1]
    return Progress(int(step), int(of), stage, told[:300])


def read_from(folder: Path, offset: int) -> tuple[str, int]:
    """Read whole lines of a log from a place on.

    Returns:
        The lines, and the place after them, in bytes.
    """
    try:
        with (folder / LOG).open("rb") as file:
            file.seek(offset)
            chunk = file.read(MAX_CHUNK)
    except OSError:
        return "", offset
    end = chunk.rfind(b"\n") + 1
    end = end or (len(chunk) if len(chunk) == MAX_CHUNK else 0)
    return chunk[:end].decode("utf-8", "replace"), offset + end
