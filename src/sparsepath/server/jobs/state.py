"""What the database knows of jobs."""

import json
import secrets
from typing import Any, Final, Literal, NamedTuple

from pydantic import JsonValue
from sqlalchemy import delete, func, insert, select, update

from sparsepath.audit.clock import now
from sparsepath.audit.database import Database
from sparsepath.audit.log import append_in
from sparsepath.audit.record import Draft
from sparsepath.audit.tables import HEADS, JOBS
from sparsepath.errors import ConfigError

State = Literal[
    "queued", "running", "pausing", "paused", "cancelling", "done", "failed", "cancelled"
]

ENDED: Final[tuple[State, ...]] = ("done", "failed", "cancelled")

MAX_KEPT: Final = 100
"""Jobs of one store that are not deleted, at most."""


class Home(NamedTuple):
    """Where jobs belong: servers look after those of their own machine and store."""

    host: str
    folder: str


class Job(NamedTuple):
    """A row of the table of jobs."""

    id: str
    kind: str
    state: State
    name: str
    """Of the table that was sent, as its sender called it; no path is made of it."""
    options: str
    """JSON."""
    by: str
    """Who asked for it."""
    host: str
    folder: str
    created: str
    """UTC, as all times here."""
    started: str | None
    ended: str | None
    process: str | None
    """Mark of its process; before that exists, of the server that starts it."""
    attempts: int
    """Times that it was begun."""
    exit_code: int | None
    told: str | None
    """Why it failed."""


def new_job(kind: str, name: str, options: dict[str, Any], *, by: str, home: Home) -> Job:
    """Make a job that waits; `add_job` puts it into the database."""
    id_, text = secrets.token_hex(8), json.dumps(options)
    return Job(id_, kind, "queued", name, text, by, *home, now(), None, None, None, 0, None, None)


def add_job(database: Database, job: Job) -> None:
    """Let a job wait for its turn, and record it.

    Raises:
        ConfigError: if too many are kept.
        RunError: if the database cannot be written to.
    """
    with database.writing() as connection:
        connection.execute(select(HEADS.c.id).with_for_update())
        kept = connection.execute(select(func.count()).select_from(JOBS).where(*_at(job)))
        if kept.scalar_one() >= MAX_KEPT:
            raise ConfigError(
                f"{MAX_KEPT} jobs are kept already", hint="delete some that have ended"
            )
        connection.execute(insert(JOBS), [job._asdict()])
        facts: dict[str, JsonValue] = {"job": job.id, "what": job.kind, "by": job.by}
        append_in(connection, [Draft(kind="job.add", body=facts | {"options": job.options})])


def find_job(database: Database, id_: str) -> Job | None:
    """Give a job; None where there is none."""
    with database.reading() as connection:
        row = connection.execute(select(JOBS).where(JOBS.c.id == id_)).one_or_none()
        return None if row is None else Job(*row)


def list_jobs(database: Database, home: Home | None = None) -> list[Job]:
    """List jobs, the oldest first; of one home, or all."""
    chosen = select(JOBS).order_by(JOBS.c.created, JOBS.c.id)
    if home is not None:
        chosen = chosen.where(JOBS.c.host == home.host, JOBS.c.folder == home.folder)
    with database.reading() as connection:
        return [Job(*row) for row in connection.execute(chosen)]


def change_job(database: Database, job: Job, **values: Any) -> bool:
    """Change a job, unless its state or process is no longer what it was; say whether it was done.

    Several servers may look after one job; only one of them makes each change. An end is recorded.

    Raises:
        RunError: if the database cannot be written to.
    """
    unchanged = (JOBS.c.id == job.id) & (JOBS.c.state == job.state)
    unchanged &= JOBS.c.process.is_not_distinct_from(job.process)
    with database.writing() as connection:
        # Readers of SQLite and PostgreSQL count changed rows alike.
        done = connection.execute(update(JOBS).where(unchanged).values(**values))
        if done.rowcount != 1:
            return False
        if values.get("state") in ENDED:
            facts: dict[str, JsonValue] = {"job": job.id, "what": job.kind}
            facts |= {"state": values["state"], "exit_code": values.get("exit_code")}
            append_in(connection, [Draft(kind="job.end", body=facts)])
    return True


def delete_job(database: Database, job: Job, *, by: str) -> bool:
    """Forget a job that has ended, and record it; say whether it was still there."""
    gone = delete(JOBS).where(JOBS.c.id == job.id, JOBS.c.state.in_(ENDED))
    with database.writing() as connection:
        if connection.execute(gone).rowcount != 1:
            return False
        append_in(connection, [Draft(kind="job.delete", body={"job": job.id, "by": by})])
    return True


def _at(job: Job) -> tuple[Any, Any]:
    return JOBS.c.host == job.host, JOBS.c.folder == job.folder
