"""Runs a model folder in a process of its own and prints the most memory the system gave it.

`python -m sparsepath.evaluate.rss` reads `{"folder", "texts", "precision", "threads"}` as JSON
from standard input and prints `{"peak_rss_bytes"}`. It must stay as small as a serving process: it
imports the engine and nothing of `artifacts`.
"""

import json
import sys
from pathlib import Path

from sparsepath.runtime.engine import load_engine

STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """Return the largest resident memory of this process so far, in bytes.

    On Linux not from `getrusage`, which remembers the parent's size across the start of a process.
    """
    if STATUS.is_file():
        for line in STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return _peak_elsewhere()


def _peak_elsewhere() -> int:
    """Return it where there is no /proc: macOS counts bytes, Windows has a counter of its own."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    """Predict the texts one by one and report."""
    request = json.load(sys.stdin)
    engine = load_engine(
        request["folder"], threads=request["threads"], precision=request["precision"]
    )
    for text in request["texts"]:
        engine.predict_one(text)
    sys.stdout.write(json.dumps({"peak_rss_bytes": peak_bytes()}) + "\n")


if __name__ == "__main__":
    main()
