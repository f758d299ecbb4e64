"""Processes that outlive the server which started them, and are known again by the next one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

LOG: Final = "log.txt"
EXIT: Final = "exit.json"

STARTING: Final = "starting "
"""Begins the mark of a server, which a job has until its own process is there."""

_CHILD: Final = Path(__file__).with_name("child.py")
_STAT: Final = "/proc/{}/stat"
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_NICE: Final = 10
"""How much a job yields to the server."""

_HIDDEN: Final = ("SPARSEPATH_DATABASE",)
"""Variables that hold secrets which a job does not need."""


def mark(pid: int) -> str | None:
    """Give what tells a process from a later one of the same number; None where it is gone.

    The time since the machine started is taken, not the clock's, which may jump.
    """
    try:
        stat = Path(_STAT.format(pid)).read_text(encoding="utf-8", errors="replace")
        fields = stat.rpartition(")")[2].split()
        boot = _BOOT.read_text(encoding="utf-8")[:8]
        return None if fields[0] == "Z" else f"{pid}:{fields[19]}:{boot}"
    except OSError:
        if Path(_STAT.format("self")).exists():
            return None
    try:  # systems without /proc
        process = psutil.Process(pid)
        is_gone = process.status() == psutil.STATUS_ZOMBIE
        return None if is_gone else f"{pid}:{process.create_time():.2f}"
    except psutil.Error:
        return None


def is_alive(marked: str | None) -> bool:
    """Say whether the process that was marked so, or the server that starts it, still runs."""
    if marked is None:
        return False
    marked = marked.removeprefix(STARTING)
    return mark(_pid(marked)) == marked


def start(folder: Path, command: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Start a command in a session of its own; what it says goes to a file in the folder.

    Raises:
        OSError: if that is not possible.
    """
    (folder / EXIT).unlink(missing_ok=True)
    environment = without_secrets() | {"PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-I", str(_CHILD), str(folder), str(_NICE), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )


def without_secrets() -> dict[str, str]:
    """Give this process's environment without what others need not know."""
    return {key: value for key, value in os.environ.items() if key not in _HIDDEN}


def send(marked: str | None, number: signal.Signals) -> None:
    """Send a signal to a process and all that it started, if it still runs; never to a server."""
    if marked is not None and not marked.startswith(STARTING) and is_alive(marked):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(_pid(marked), number)


def exit_code(folder: Path) -> int | None:
    """Give the exit code of a command that ended; None where it was never written."""
    try:
        found: object = json.loads((folder / EXIT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, int) else None


def _pid(marked: str) -> int:
    return int(marked.partition(":")[0])
