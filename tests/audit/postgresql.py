"""A PostgreSQL server of the tests' own, where its programs are installed."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest


def programs() -> Path | None:
    """Find the folder of `initdb` and `pg_ctl`."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("pg_ctl")
    folders += [Path(found).resolve().parent] if found else []
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@contextmanager
def server() -> Iterator[str]:
    """Run a server that listens on a socket in its own folder; give its URL without a database."""
    with server_that_can_stop() as (url, _):
        yield url


@contextmanager
def server_that_can_stop() -> Iterator[tuple[str, Callable[..., None]]]:
    """Run such a server; also give what calls `pg_ctl` with more words, such as `stop`."""
    bin_ = programs()
    if bin_ is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not installed")
    pytest.importorskip("psycopg", reason="the extra postgresql is not installed")
    place = Path(tempfile.mkdtemp(prefix="sp-pg-", dir="/tmp"))
    owner: dict[str, str] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        name = next((n for n in ("postgres", "nobody") if _exists(n)), None)
        if name is None:
            pytest.skip("PostgreSQL does not run as root, and there is no other user")
        shutil.chown(place, name)
        owner["user"] = name
    options = f"-k {place} -c listen_addresses='' -c fsync=off"
    control = [bin_ / "pg_ctl", "-D", place / "data", "-w", "-l", place / "log"]

    def run(*command: str | Path) -> None:
        subprocess.run(command, cwd=place, check=True, stdout=subprocess.DEVNULL, **owner)

    try:
        run(bin_ / "initdb", "-D", place / "data", "-U", "tests", "-A", "trust", "-N", "-E", "UTF8")
        run(*control, "-o", options, "start")
        try:
            yield f"postgresql://tests@/{{}}?host={place}", partial(run, *control)
        finally:
            run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def create(url: str, name: str) -> str:
    """Make a database on a server; give its URL."""
    import psycopg

    with psycopg.connect(url.format("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return url.format(name)
