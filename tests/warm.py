"""Python processes that have the large libraries imported already.

Tests that kill a command or start it twice need real processes, and each fresh one spends seconds
on importing torch. Here one process imports once and forks: every child has a process id, pipes,
a working folder and an environment of its own, and the modules as they are after an import.
Variables that libraries read when they are imported are those of the test run.
"""

import atexit
import functools
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

IMPORTS = "sparsepath.poc.run", "sparsepath.train.trainer", "sparsepath.cli.train"

LOOP = r"""
import importlib, json, os, runpy, signal, socket, sys
asked = socket.socket(fileno=int(sys.argv[1]))
for name in sys.argv[2:]:
    importlib.import_module(name)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)

def become(told):
    os.chdir(told["cwd"])
    os.environ.clear()
    os.environ.update(told["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    kind, what, *rest = told["line"]
    sys.argv = [what if kind == "-m" else "-c", *rest]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})

def end_of(told):
    code = 0
    try:
        become(told)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if not isinstance(end.code, int | None):
            print(end.code, file=sys.stderr)
    except BaseException:
        import traceback
        traceback.print_exc()
        code = 1
    import atexit
    atexit._run_exitfuncs()
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(code)

while True:
    message, descriptors, _, _ = socket.recv_fds(asked, 1 << 20, 3)
    if not message:
        break
    *streams, answers = (*descriptors,)
    if os.fork() == 0:
        # This one stays beside its child, and says how it ended.
        asked.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        child = os.fork()
        if child == 0:
            os.close(answers)
            for place, stream in enumerate(streams, start=1):
                os.dup2(stream, place)
                os.close(stream)
            end_of(json.loads(message))
        for stream in streams:
            os.close(stream)
        os.write(answers, f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    for descriptor in descriptors:
        os.close(descriptor)
"""


@functools.cache
def _forking() -> socket.socket:
    """Start the process that forks; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # The limit of a message is the socket's buffer; an environment may be long.
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    line = [sys.executable, "-c", LOOP, str(theirs.fileno()), *IMPORTS]
    process = subprocess.Popen(line, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait(timeout=30)

    atexit.register(end)
    return ours


class Warm:
    """A process like `subprocess.Popen([python, *line], stderr=PIPE, text=True)`.

    Args:
        line: `-m MODULE ARGUMENT...` or `-c CODE ARGUMENT...`.
        cwd: its working folder.
        environment: changes of this process's environment.
        stdout: where its output goes; nowhere by default.
        stderr: as `stdout`; a pipe by default.
    """

    def __init__(
        self,
        line: Sequence[str],
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
    ) -> None:
        told, told_there = os.pipe()
        said, said_there = os.pipe()
        message = {
            "line": list(line),
            "cwd": str(cwd or Path.cwd()),
            "environment": dict(os.environ) | dict(environment or {}),
        }
        with Path(os.devnull).open("w") as nothing:
            streams = [(stdout or nothing).fileno(), stderr.fileno() if stderr else said_there]
            socket.send_fds(_forking(), [json.dumps(message).encode()], [*streams, told_there])
        for descriptor in (told_there, said_there):
            os.close(descriptor)
        self._told = os.fdopen(told)
        self.stderr = os.fdopen(said)
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        self.stderr.close()
        self._told.close()

    def poll(self) -> int | None:
        """Give the exit code, negative for a signal, or None while it runs."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self.returncode = int(self._told.readline())
        return self.returncode

    def wait(self) -> int:
        """Wait for the end; what it still writes must fit into the pipe."""
        if self.returncode is None:
            self.returncode = int(self._told.readline())
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def run(
    line: Sequence[str], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Do as `subprocess.run([python, *line], capture_output=True, text=True)`."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        with Warm(line, cwd=cwd, environment=environment, stdout=out, stderr=err) as process:
            code = process.wait()
        for stream in (out, err):
            stream.seek(0)
        return subprocess.CompletedProcess(list(line), code, out.read(), err.read())
