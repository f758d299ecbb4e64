"""Record in several processes of one machine, each of which makes every n-th shard.

Each process reads and tokenizes the whole text, which is quick, and runs the model for its own
shards only; so nothing passes between them, and a shard is the same whoever makes it. Read with:
`worker.py` (what such a process does).
"""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch

from sparsepath.concepts.options import CatalogueOptions
from sparsepath.concepts.record import SHARD_TOKENS, Recording, Share, Tell, check_settings
from sparsepath.concepts.shards import Shards
from sparsepath.errors import RunError

SECONDS_BETWEEN_LOOKS = 0.2
"""At how far the processes are."""

SECONDS_TO_STOP = 10.0
"""Before a process that should stop is made to."""


class Job(NamedTuple):
    """What is catalogued, in words that another process understands."""

    model: str
    """Folder."""
    corpus: str
    options: CatalogueOptions

    def written(self, work: Path, share: Share, threads: int) -> str:
        """Write it down for `worker.py`, as JSON."""
        options = asdict(self.options)
        if self.options.autoencoder is not None:
            options["autoencoder"] = str(self.options.autoencoder)
        return json.dumps(
            {"model": self.model, "corpus": self.corpus, "options": options, "work": str(work),
             "share": share, "threads": threads, "parent": os.getpid()}
        )  # fmt: skip


def record_in_processes(job: Job, recording: Recording, work: Path, tell: Tell) -> Shards:
    """Record as `record` does, with the same result.

    Args:
        job: with the number of processes.
        recording: what comes of it.
        work: where shards are kept; a stopped recording goes on there, in any number of processes.
        tell: called with the tokens that are done.

    Raises:
        ConfigError: if the folder holds a recording of something else.
        RunError: if a process fails or is killed; the others are stopped then.
    """
    check_settings(work, recording)
    n = job.options.processes
    threads = max(1, torch.get_num_threads() // n)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(_Worker(job.written(work, Share(i, n), threads), work, i, n))
            for i in range(n)
        ]
        seen = -1
        while any(worker.is_busy() for worker in workers):
            done = len(list(work.glob("shard-*.safetensors")))
            if done != seen:
                seen = done
                tell(done * tokens_of_shard(recording.rows.length))
            time.sleep(SECONDS_BETWEEN_LOOKS)
    return Shards(work)


def tokens_of_shard(length: int) -> int:
    """Give the tokens of a full shard of rows of a length."""
    return max(1, SHARD_TOKENS // length) * length


class _Worker:
    """A process that makes some shards; stopped at the end of a `with` block if it is not done."""

    def __init__(self, job: str, work: Path, number: int, of: int) -> None:
        self._name = f"process {number + 1} of {of}"
        self._log = work / f"process-{number + 1}.log"
        env = os.environ | {"OMP_NUM_THREADS": str(json.loads(job)["threads"])}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sparsepath.concepts.worker", job],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
            )

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def is_busy(self) -> bool:
        """Say whether it still works.

        Raises:
            RunError: if it failed.
        """
        code = self._process.poll()
        if code:
            raise self._failed(code)
        return code is None

    def _failed(self, code: int) -> RunError:
        """Say what became of it, in its own words where it had time for some."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        try:
            told = json.loads(lines[-1])
            return RunError(f"{self._name} failed: {told['message']}", hint=told["hint"])
        except (ValueError, LookupError, TypeError):
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            last = f": {lines[-1]}" if lines else ""
            return RunError(
                f"{self._name} {how}{last}",
                hint="the same command goes on after what is done; if memory ran out (signal 9), "
                "give fewer --processes, each of which holds the model",
            )
