"""A table that a client sends: written to a file as it comes, bounded in size and time."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from starlette.requests import ClientDisconnect

from sparsepath.errors import RunError
from sparsepath.server.problems import Problem

WHOLE_S: Final = 900.0
"""Seconds until an upload is given up."""

_TOGETHER: Final = 1 << 20
"""Bytes that are written at once."""


async def receive(chunks: AsyncIterator[bytes], path: Path, *, limit: int, wait_s: float) -> int:
    """Write what comes to a file, whose folder is made; give its bytes.

    Args:
        chunks: of the body.
        path: the file; it is not there before, and not afterwards where this fails.
        limit: bytes, at most.
        wait_s: seconds until the next chunk must have come.

    Raises:
        Problem: if too much comes, too slowly, nothing at all, or the client leaves.
        RunError: if the disk is full or may not be written to.
    """
    end = time.monotonic() + WHOLE_S
    size, held = 0, bytearray()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("xb") as file:
            async for chunk in _timed(chunks, wait_s, end):
                size += len(chunk)
                if size > limit:
                    raise too_large(limit)
                held += chunk
                if len(held) >= _TOGETHER:
                    await asyncio.to_thread(file.write, bytes(held))
                    held.clear()
            file.write(held)
    except OSError as err:
        raise RunError(
            f"the table cannot be kept: {err.strerror}",
            hint="see that the disk of --store has room and may be written to",
        ) from err
    if size == 0:
        raise Problem(422, "empty", "no table was sent", fix="send the table as the body")
    return size


def too_large(limit: int) -> Problem:
    """Say that a table is too large."""
    return Problem(
        413,
        "too_large",
        f"the table is larger than {limit} bytes",
        fix="send fewer rows, or start the server with a higher --max-upload-mb",
        headers={"Connection": "close"},
    )


async def _timed(chunks: AsyncIterator[bytes], wait_s: float, end: float) -> AsyncIterator[bytes]:
    """Give chunks as long as they come in time."""
    while True:
        try:
            async with asyncio.timeout(min(wait_s, max(0.0, end - time.monotonic()))):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError as err:
            raise Problem(
                408, "slow", "the table did not come in time", fix="send it at once"
            ) from err
        except ClientDisconnect as err:
            raise Problem(499, "gone", "the client left", fix="stay until it is sent") from err
        yield chunk
