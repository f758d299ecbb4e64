"""A process that records some shards: `python -m sparsepath.concepts.worker JOB`, JOB as JSON.

Started by `processes.py` only. An error that a user can fix is its last line, as JSON.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from sparsepath.concepts.build import record_share
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.concepts.processes import Job
from sparsepath.concepts.record import Share
from sparsepath.errors import SparsepathError
from sparsepath.kernels.allocator import keep_freed_memory


def make_shards(told: dict[str, Any]) -> None:
    """Make some shards.

    Args:
        told: as `Job.written` writes it; `parent` is the process without which this one ends, None
            for a task of a cluster.

    Raises:
        SparsepathError: as `build_catalogue`.
    """
    keep_freed_memory()
    torch.set_num_threads(told["threads"])
    options = told["options"]
    options |= {name: tuple(options[name]) for name in ("sites", "layers")}
    if options["autoencoder"] is not None:
        options["autoencoder"] = Path(options["autoencoder"])
    job = Job(told["model"], told["corpus"], CatalogueOptions(**options))

    def look(_n: int) -> None:
        if told["parent"] not in (None, os.getppid()):
            sys.exit("the process that asked for this is gone")

    record_share(job, Path(told["work"]), look, Share(*told["share"]))


def work(told: dict[str, Any]) -> int:
    """Make some shards as a process of its own; gives the exit code."""
    try:
        make_shards(told)
    except SparsepathError as err:
        sys.stdout.write(json.dumps({"message": err.message, "hint": err.hint}) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(work(json.loads(sys.argv[1])))
