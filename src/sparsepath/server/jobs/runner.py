"""Begins jobs, sees them end, and takes up those that an earlier server left.

A server that is stopped lets its jobs save what is done and puts them back into the queue. One that
is killed leaves their processes running; the next server finds them by their marks. A job whose
process vanished without an exit code is begun again, twice at most; its command goes on from
what is done.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

from sparsepath.artifacts.store import safe_join
from sparsepath.audit.clock import now
from sparsepath.audit.database import Database
from sparsepath.errors import RunError
from sparsepath.server.jobs import process
from sparsepath.server.jobs.commands import command_of
from sparsepath.server.jobs.state import Home, Job, change_job, list_jobs
from sparsepath.server.jobs.watch import tail
from sparsepath.server.logs import log

ATTEMPTS: Final = 3
"""Times that a job is begun whose process vanishes."""

LOOK_EVERY_S: Final = 0.5
IDLE_EVERY_S: Final = 5.0
GRACE_S: Final = 15.0
"""Time for a job to save what is done, once it is asked to stop."""

_GOING: Final = ("running", "pausing", "cancelling")
"""States of jobs that have a process."""

_STOPPED: Final = (130, -signal.SIGINT)
"""Exit codes of commands that were interrupted."""


@final
class Runner:
    """Looks after the jobs of one store."""

    def __init__(self, database: Database, store: Path, *, at_once: int) -> None:
        """Prepare; `run` does the work.

        Args:
            database: of the jobs' states.
            store: folder of their files; made when the first one comes.
            at_once: jobs that run at the same time.
        """
        self._database, self._store, self._at_once = database, store, at_once
        self.home = Home(socket.gethostname()[:255], str(store.resolve()))
        self._own: dict[str, subprocess.Popen[bytes]] = {}
        self._asked_s: dict[str, float] = {}
        self._woken = asyncio.Event()
        self._is_closing = False

    def folder(self, id_: str) -> Path:
        """Give the folder of a job's files.

        Raises:
            RunError: if the id leads elsewhere.
        """
        return safe_join(self._store, "jobs", id_)

    def wake(self) -> None:
        """Look at the jobs now."""
        self._woken.set()

    async def run(self) -> None:
        """Look after jobs until `close` was called."""
        while not self._is_closing:
            self._woken.clear()
            is_busy = False
            try:
                is_busy = await asyncio.to_thread(self.look)
            except (RunError, OSError) as err:
                log("jobs not looked after", why=str(err).partition("\n")[0])
            seconds = LOOK_EVERY_S if is_busy else IDLE_EVERY_S
            try:
                await asyncio.wait_for(self._woken.wait(), seconds)
            except TimeoutError:
                continue

    async def close(self) -> None:
        """Stop the jobs that were begun here, and put them back into the queue."""
        self._is_closing = True
        self._woken.set()
        for one in self._own.values():
            process.send(process.mark(one.pid), signal.SIGINT)
        end = time.monotonic() + GRACE_S
        while any(one.poll() is None for one in self._own.values()) and time.monotonic() < end:
            await asyncio.sleep(0.05)
        for one in self._own.values():
            process.send(process.mark(one.pid), signal.SIGKILL)
            one.wait()
        try:
            await asyncio.to_thread(self._put_back)
        except RunError as err:
            log("jobs not put back", why=err.message)

    def look(self) -> bool:
        """Note which jobs ended, and begin some that wait; say whether any is going on."""
        jobs = list_jobs(self._database, self.home)
        running = [job for job in jobs if job.state in _GOING]
        n = 0
        for job in running:
            if process.is_alive(job.process):
                n += 1
                self._hurry(job)
            else:
                self._ended(job)
        for job in jobs:
            if job.state == "queued" and n < self._at_once and not self._is_closing:
                n += self._begin(job)
        return n > 0 or bool(running)

    def cancel(self, job: Job) -> bool:
        """End a job; say whether it was still to be ended."""
        if job.state in {"queued", "paused"}:
            return change_job(self._database, job, state="cancelled", ended=now())
        if job.state not in {"running", "pausing"}:
            return job.state == "cancelling"
        if not change_job(self._database, job, state="cancelling"):
            return False
        process.send(job.process, signal.SIGINT)
        return True

    def pause(self, job: Job) -> bool:
        """Let a job save what is done and stop until `resume`; say whether it could."""
        if job.state == "queued":
            return change_job(self._database, job, state="paused")
        if job.state != "running" or not change_job(self._database, job, state="pausing"):
            return job.state == "pausing"
        process.send(job.process, signal.SIGINT)
        return True

    def resume(self, job: Job) -> bool:
        """Let a paused job wait for its turn; say whether it could. Its attempts count anew."""
        if job.state != "paused":
            return False
        return change_job(self._database, job, state="queued", process=None, attempts=0)

    def clear(self, id_: str) -> None:
        """Delete the files of a job."""
        shutil.rmtree(self.folder(id_), ignore_errors=True)

    def _begin(self, job: Job) -> bool:
        """Start the process of a job; another server may be quicker."""
        own = f"{process.STARTING}{process.mark(os.getpid())}"
        begun = job._replace(state="running", process=own)
        facts: Mapping[str, Any] = {"state": "running", "process": own, "started": now()}
        if not change_job(self._database, job, **facts, attempts=job.attempts + 1):
            return False
        folder = self.folder(job.id)
        try:
            command = command_of(job.kind, json.loads(job.options), folder)
            child = process.start(folder, [sys.executable, "-m", "sparsepath", *command])
        except (OSError, RunError) as err:
            self._fail(begun, f"it could not be started: {err}", None)
            return False
        self._own[job.id] = child
        marked = process.mark(child.pid) or f"{child.pid}:ended"
        if not change_job(self._database, begun, process=marked):
            # Somebody cancelled or paused it meanwhile.
            for state in ("cancelling", "pausing"):
                change_job(self._database, begun._replace(state=state), process=marked)
            process.send(marked, signal.SIGINT)
        log("job begun", job=job.id, what=job.kind, attempt=job.attempts + 1)
        return True

    def _ended(self, job: Job) -> None:
        """Note how a job ended whose process is gone."""
        if (own := self._own.pop(job.id, None)) is not None:
            own.wait()
        self._asked_s.pop(job.id, None)
        code = process.exit_code(self.folder(job.id))
        if job.state == "cancelling":
            change_job(self._database, job, state="cancelled", ended=now(), exit_code=code)
        elif code == 0:
            change_job(self._database, job, state="done", ended=now(), exit_code=0)
        elif job.state == "pausing" and (code in _STOPPED or code is None):
            change_job(self._database, job, state="paused", process=None)
        elif code in _STOPPED or (code is None and job.attempts < ATTEMPTS):
            change_job(self._database, job, state="queued", process=None)
        elif code is None:
            self._fail(job, f"its process vanished {job.attempts} times", None)
        else:
            self._fail(job, f"exit code {code}", code)
        log("job not running any more", job=job.id, what=job.kind, exit_code=code)

    def _fail(self, job: Job, why: str, code: int | None) -> None:
        told = f"{why}\n{tail(self.folder(job.id))}".strip()
        change_job(self._database, job, state="failed", ended=now(), exit_code=code, told=told)

    def _hurry(self, job: Job) -> None:
        """Kill a job that was asked to end and does not."""
        if job.state in {"cancelling", "pausing"}:
            since = self._asked_s.setdefault(job.id, time.monotonic())
            if time.monotonic() - since > GRACE_S:
                process.send(job.process, signal.SIGKILL)

    def _put_back(self) -> None:
        """Note how the jobs ended that were begun here."""
        for job in list_jobs(self._database, self.home):
            if job.id in self._own and job.state in _GOING:
                self._ended(job)
