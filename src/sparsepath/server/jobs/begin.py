"""How a job begins: first its files, then its place in the queue; without them nothing is left."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request

from sparsepath.errors import RunError
from sparsepath.server.jobs.state import Job, add_job
from sparsepath.server.jobs.upload import receive, too_large
from sparsepath.server.service import Service


def printed(name: str, usual: str) -> str:
    """Leave of a name what can be printed; a name without any is the usual one."""
    return "".join(char for char in name if char.isprintable()) or usual


def _upload_limit(request: Request, service: Service) -> int:
    """Give the bytes that a body may have.

    Raises:
        Problem: if it says itself that it has more.
    """
    limit = service.options.max_upload_mb * 1_000_000
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:18]) > limit:
        raise too_large(limit)
    return limit


async def begin_on_upload(request: Request, service: Service, job: Job, name: str) -> None:
    """Keep the body in a file of the job's folder, and put the job into the queue.

    Args:
        request: whose body it is.
        service: of the server.
        job: a new one.
        name: of the file.

    Raises:
        ConfigError: if too many jobs are kept.
        Problem: if too much comes, too slowly, nothing at all, or the client leaves.
        RunError: if it cannot be written.
    """
    limit, wait_s = _upload_limit(request, service), service.options.body_timeout_s
    async with _or_nothing(service, job) as folder:
        await receive(request.stream(), folder / name, limit=limit, wait_s=wait_s)
        await asyncio.to_thread(add_job, service.database, job)


async def begin_on_files(
    service: Service, job: Job, what: str, write: Callable[[Path], None]
) -> None:
    """Write a job's files, and put it into the queue.

    Args:
        service: of the server.
        job: a new one.
        what: the files, as an error names them.
        write: writes them into the job's folder.

    Raises:
        ConfigError: if too many jobs are kept.
        RunError: if they cannot be written.
    """

    def kept(folder: Path) -> None:
        try:
            write(folder)
        except OSError as err:
            raise RunError(
                f"{what} cannot be kept: {err.strerror}",
                hint="see that the disk of --store has room and may be written to",
            ) from err
        add_job(service.database, job)

    async with _or_nothing(service, job) as folder:
        await asyncio.to_thread(kept, folder)


@asynccontextmanager
async def _or_nothing(service: Service, job: Job) -> AsyncIterator[Path]:
    """Give a job's folder; remove it where what follows fails, else tell the queue."""
    try:
        yield service.jobs.folder(job.id)
    except BaseException:
        service.jobs.clear(job.id)
        raise
    service.jobs.wake()
