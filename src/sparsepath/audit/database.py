"""Opening the database: SQLite in one file, or PostgreSQL by URL.

SQLite runs with a write-ahead log and waits for the disk at every commit; a writing transaction
takes the write lock when it begins, so that several processes on one file wait for each other
instead of failing. PostgreSQL does the same by the lock on the row of `head`.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, final

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, SQLAlchemyError

from sparsepath.audit.pen import Pen, Wording
from sparsepath.errors import ConfigError, RunError, needs_extra

WAIT_S: Final = 20
"""Seconds that a writer waits for another one."""

CONNECT_S: Final = 5
"""Seconds until a PostgreSQL server that does not answer is given up."""

_BEGIN_WRITING: Final = "BEGIN IMMEDIATE"
"""Of SQLite; it takes the lock at once."""

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


@final
class Database:
    """An open database of the newest version; may be used from several threads.

    As a context manager it closes itself.
    """

    def __init__(self, engine: Engine) -> None:
        """Take over an engine; `open_database` makes one."""
        self.name = engine.url.render_as_string(hide_password=True)
        """Where it is, without the password."""
        is_sqlite = engine.dialect.name == "sqlite"
        self._engine = engine
        reading: dict[str, Any] = {} if is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reader = engine.execution_options(**reading)
        self._writer = engine.execution_options(is_writing=True)
        self._lock = threading.Lock()
        self._wording, self._is_sqlite = Wording(engine.dialect), is_sqlite
        self._failure: type[Exception] = engine.dialect.loaded_dbapi.Error

    def __enter__(self) -> "Database":
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection."""
        self.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read in one transaction, which sees one state.

        Raises:
            RunError: if the database cannot be reached.
        """
        with self._explained(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Write in one transaction, which is on the disk when the block ends.

        Raises:
            RunError: if the database cannot be reached or written to; nothing was written then.
        """
        with self._explained(), self._lock, self._writer.begin() as connection:
            yield connection

    @contextmanager
    def writing_plainly(self) -> Iterator[Pen]:
        """Write like `writing`, with the driver's own cursor, which takes less time.

        Raises:
            RunError: as `writing`.
        """
        with self._explained(), self._lock:
            connection = self._engine.raw_connection()
            try:
                with closing(connection.cursor()) as cursor:
                    if self._is_sqlite:
                        cursor.execute(_BEGIN_WRITING)
                    yield Pen(cursor, self._wording.of)
                    connection.commit()
            except BaseException:
                connection.invalidate()  # the cursor is closed, else SQLite would keep the lock
                raise
            finally:
                connection.close()

    def clean(self) -> None:
        """Let what was deleted leave the files too, as far as that is ours to do.

        SQLite's write-ahead log still has it until then. PostgreSQL cleans by itself, later.
        """
        if self._engine.dialect.name == "sqlite":
            with self._explained(), self._engine.connect() as connection:
                bare = connection.connection.dbapi_connection
                assert isinstance(bare, sqlite3.Connection)
                bare.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, self._failure) as err:
            why = str(getattr(err, "orig", None) or err).strip().partition("\n")[0]
            raise RunError(
                f"the database {self.name} does not do its part: {why}",
                hint="see that it can be reached, that its disk has room, and that this user may "
                "write to it",
            ) from err


def open_database(place: str, *, must_exist: bool = False) -> Database:
    """Open a database; it is made, or brought to the newest version, where needed.

    Args:
        place: path of an SQLite file, or a URL: `sqlite:///FILE`,
            `postgresql://USER:PASSWORD@HOST/NAME`.
        must_exist: refuse an SQLite file that is not there, and a database without a log.

    Raises:
        ConfigError: if `place` names neither.
        MissingExtraError: if the driver of PostgreSQL is not installed.
        RunError: if it cannot be opened, does not exist, belongs to something else, or is newer.
    """
    url = _url(place)
    if url.get_backend_name() == "sqlite":
        _prepare_file(url, must_exist)
        engine = create_engine(url, connect_args={"timeout": WAIT_S, "check_same_thread": False})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        with needs_extra("postgresql", "a PostgreSQL database"):
            engine = create_engine(
                url, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_S}
            )
    try:
        _migrate(engine, must_exist)
    except RunError:
        engine.dispose()
        raise
    except DatabaseError as err:
        engine.dispose()
        why = str(err.orig).strip().partition("\n")[0]
        raise RunError(
            f"{url.render_as_string(hide_password=True)} cannot be opened: {why}",
            hint="give a file that sparsepath made or a new name, or the URL of a running server "
            "whose user may make tables",
        ) from err
    return Database(engine)


def _url(place: str) -> URL:
    """Read a path or URL."""
    try:
        url = make_url(place if "://" in place else f"sqlite:///{place}")
        if url.drivername in {"postgresql", "postgres"}:
            url = url.set(drivername="postgresql+psycopg")
        if url.drivername not in {"sqlite", "postgresql+psycopg"} or not url.database:
            raise ConfigError(
                f"the database {url.render_as_string(hide_password=True)!r} is of no known kind",
                hint="give the path of a file, or postgresql://USER:PASSWORD@HOST/NAME",
            )
    except (ArgumentError, NoSuchModuleError, ValueError) as err:
        raise ConfigError(
            "the URL of the database cannot be read",
            hint="write postgresql://USER:PASSWORD@HOST/NAME, with %XX for special characters",
        ) from err
    return url


def _prepare_file(url: URL, must_exist: bool) -> None:
    """Make a file that only its owner may read; see that it is no folder."""
    path = Path(str(url.database))
    if must_exist and not path.is_file():
        raise RunError(
            f"no database at {path}",
            hint="give the one that `sparsepath serve` uses: --database FILE or URL",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as err:
        raise RunError(
            f"the database {path} cannot be written to: {err.strerror}",
            hint="give a file that you may write to",
        ) from err


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """Prepare a new connection; transactions are begun by `_begin_sqlite` alone."""
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {1000 * WAIT_S}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")


def _begin_sqlite(connection: Connection) -> None:
    is_writing = connection.get_execution_options().get("is_writing", False)
    connection.exec_driver_sql(_BEGIN_WRITING if is_writing else "BEGIN")


def _migrate(engine: Engine, must_exist: bool) -> None:
    """Bring the database to the newest version, in one transaction."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with engine.execution_options(is_writing=True).begin() as connection:
        tables = set(inspect(connection).get_table_names())
        if "alembic_version" not in tables and ("record" in tables or must_exist):
            raise RunError(
                f"{engine.url.render_as_string(hide_password=True)} holds no audit log",
                hint="give the database that `sparsepath serve` uses, or a new one to serve with",
            )
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as err:
            raise RunError(
                f"{engine.url.render_as_string(hide_password=True)} was written by another "
                f"version of sparsepath: {err}",
                hint="update sparsepath: pip install -U sparsepath",
            ) from err
