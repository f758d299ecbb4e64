"""Record on a Ray cluster; each task makes every n-th shard, as a process of `processes.py` does.

Every machine reads model and corpus, and writes shards, at the same paths: a shared file system is
needed where there is more than one. Ray is an optional extra and is imported when it is asked for.
"""

import json
import socket
from contextlib import chdir
from pathlib import Path
from typing import Any

from sparsepath.concepts.processes import Job, tokens_of_shard
from sparsepath.concepts.record import Recording, Share, Tell, check_settings
from sparsepath.concepts.shards import Shards
from sparsepath.errors import ConfigError, RunError, needs_extra

LOCAL = "local"
"""In place of an address: a cluster of this machine only, for the time of the call."""

SECONDS_BETWEEN_LOOKS = 0.5
KNOCK_S = 10.0


def record_on_cluster(job: Job, recording: Recording, work: Path, tell: Tell) -> Shards:
    """Record as `record` does, with the same result.

    Args:
        job: with the address of the cluster; with one process, as many tasks as it has processors.
        recording: what comes of it.
        work: where shards are kept; a stopped recording goes on there.
        tell: called with the tokens that are done.

    Raises:
        ConfigError: if the folder holds a recording of something else, or there is no cluster.
        MissingExtraError: if Ray is not installed.
        RunError: if a task fails; the others are stopped then.
    """
    with needs_extra("ray", "--ray"):
        import ray
    check_settings(work, recording)
    is_ours = not ray.is_initialized()
    if is_ours:
        _begin(ray, str(job.options.ray))
    try:
        n = job.options.processes
        if n == 1:
            n = max(1, int(ray.cluster_resources().get("CPU", 1)))
        task = ray.remote(num_cpus=1, max_retries=0)(_make_shards)
        told = [job.written(work.resolve(), Share(i, n), 1) for i in range(n)]
        waiting = [task.remote(one, str(Path.cwd())) for one in told]
        try:
            while waiting:
                done, waiting = ray.wait(waiting, timeout=SECONDS_BETWEEN_LOOKS)
                for one in done:
                    _check(ray, one)
                n_done = len(list(work.glob("shard-*.safetensors")))
                tell(n_done * tokens_of_shard(recording.rows.length))
        finally:
            for one in waiting:
                ray.cancel(one, force=True)
    finally:
        if is_ours:
            ray.shutdown()
    return Shards(work)


def _begin(ray: Any, address: str) -> None:
    """Start a cluster, or join one.

    Raises:
        ConfigError: if there is none at the address.
    """
    try:
        _knock(address)
        ray.init(
            address=None if address == LOCAL else address,
            include_dashboard=False if address == LOCAL else None,
            log_to_driver=False,
            configure_logging=False,
        )
    except (OSError, ValueError, RuntimeError) as err:
        raise ConfigError(
            f"no Ray cluster at {address} ({str(err).partition(chr(10))[0]})",
            hint="start one with `ray start --head`, or give --ray alone for this machine",
        ) from err


def _knock(address: str) -> None:
    """See that something listens at HOST:PORT; Ray itself tries for many minutes.

    Raises:
        OSError: if nothing does.
        ValueError: if there is no such port.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()


def _make_shards(told: str, folder: str) -> dict[str, str] | None:
    """Make some shards inside of a task; an error that a user can fix is what comes back."""
    from sparsepath.concepts.worker import make_shards
    from sparsepath.errors import SparsepathError

    try:
        with chdir(folder):  # where relative paths of the user are meant
            make_shards(json.loads(told) | {"parent": None})
    except SparsepathError as err:
        return {"message": err.message, "hint": err.hint}
    return None


def _check(ray: Any, task: Any) -> None:
    """See that a task ended well.

    Raises:
        RunError: if it did not.
    """
    try:
        told = ray.get(task)
    except ray.exceptions.RayError as err:
        raise RunError(
            f"a task of the cluster failed: {str(err).strip().splitlines()[-1]}",
            hint="the same command goes on after what is done; model, corpus and catalogue must be "
            "at the same paths on every machine, with the same sparsepath",
        ) from err
    if told is not None:
        raise RunError(f"a task of the cluster failed: {told['message']}", hint=told["hint"])
