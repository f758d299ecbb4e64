"""A Python process that reads a line of JSON a request and writes a line a reply.

What goes wrong in it, memory that it needs, and packages that it imports are its own alone.
"""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from typing import Any, Final, final

from sparsepath.server.jobs.process import without_secrets

_LINE: Final = 1 << 26
"""Bytes of a reply, at most."""


class ProcessFailure(Exception):  # noqa: N818 - ends a process, and is told or counted
    """The process is of no use any more."""


@final
class LineProcess:
    """A process that was started; one request at a time."""

    def __init__(self, process: Process) -> None:
        """Take a process; `start_lines` starts one."""
        self._process = process

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    async def exchange(self, asked: object, seconds: float) -> dict[str, Any]:
        """Ask, and wait for the reply; cancelled in between it must be ended.

        Args:
            asked: as JSON can hold it.
            seconds: after which the process is given up.

        Raises:
            ProcessFailure: if no reply comes.
        """
        assert self._process.stdin is not None
        reading = asyncio.create_task(self.read(seconds))
        try:
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            await self._process.stdin.drain()
            return await reading
        except (OSError, RuntimeError) as err:  # uvloop and asyncio say it differently
            raise ProcessFailure("its process ended") from err
        finally:
            reading.cancel()

    async def read(self, seconds: float) -> dict[str, Any]:
        """Read a line of the process.

        Raises:
            ProcessFailure: if none comes.
        """
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), seconds)
        except TimeoutError as err:
            raise ProcessFailure(f"nothing for {seconds:g} s") from err
        if not line.endswith(b"\n"):
            raise ProcessFailure("its process ended")
        content = json.loads(line)
        if not isinstance(content, dict):
            raise ProcessFailure("it said something else than agreed")
        return content

    async def end(self) -> None:
        """Kill the process, if it still runs."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


async def start_lines(module: str, *arguments: str) -> LineProcess:
    """Start a module of this package as such a process.

    Args:
        module: by its dotted name.
        arguments: of it.

    Raises:
        OSError: if that is not possible.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", module, *arguments,
        stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=_LINE, env=without_secrets(),
    )  # fmt: skip
    return LineProcess(process)
