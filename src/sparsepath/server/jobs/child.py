"""Runs the command of a job and writes down how it ended. Imports nothing of sparsepath.

    python child.py FOLDER NICE COMMAND...

It outlives the server, so that a server that is started later still learns the exit code.
"""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path


def main(folder: Path, nice: int, command: list[str]) -> None:
    """Run a command, its words in `log.txt`, and leave its exit code in `exit.json`."""
    begun: subprocess.Popen[bytes] | None = None
    signal.signal(signal.SIGINT, lambda *_: None)  # the command gets it too, and decides
    signal.signal(signal.SIGTERM, lambda *_: None)
    os.nice(nice)
    with (folder / "log.txt").open("ab") as log:
        # The command inherits this lock: while an earlier one still runs, this one waits.
        fcntl.flock(log, fcntl.LOCK_EX)
        try:
            begun = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
            code = begun.wait()
        except OSError as err:
            log.write(f"error: {err}\n".encode())
            code = 127
    temporary = folder / ".exit.json"
    temporary.write_text(str(code), encoding="utf-8")
    temporary.replace(folder / "exit.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
