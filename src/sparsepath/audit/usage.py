"""What API keys used of their quotas, by UTC day, counted by all servers of a database together."""

from sqlalchemy import delete, insert, select, update

from sparsepath.audit.database import Database
from sparsepath.audit.tables import HEADS, USAGE


def take(database: Database, key: str, day: str, *, least: int, wish: int, quota: int) -> int:
    """Take a part of a key's quota.

    Args:
        database: of the keys.
        key: its id.
        day: such as `2026-11-21`.
        least: units that are needed.
        wish: units that are taken where there is room for them.
        quota: units of a day.

    Returns:
        The units that were taken; 0 where there is no room for `least`.

    Raises:
        RunError: if the database cannot be written to.
    """
    with database.writing() as connection:
        # Holding the head's row lets servers on PostgreSQL count one after the other.
        connection.execute(select(HEADS.c.id).with_for_update())
        row = (USAGE.c.key == key) & (USAGE.c.day == day)
        used = connection.execute(select(USAGE.c.used).where(row)).scalar_one_or_none()
        taken = min(max(least, wish), quota - (used or 0))
        if taken < least:
            return 0
        if used is None:
            connection.execute(delete(USAGE).where(USAGE.c.key == key, USAGE.c.day < day))
            connection.execute(insert(USAGE), [{"key": key, "day": day, "used": taken}])
        else:
            connection.execute(update(USAGE).where(row).values(used=used + taken))
    return taken


def give_back(database: Database, key: str, day: str, units: int) -> None:
    """Return what was taken and not used.

    Raises:
        RunError: if the database cannot be written to.
    """
    with database.writing() as connection:
        row = (USAGE.c.key == key) & (USAGE.c.day == day)
        connection.execute(update(USAGE).where(row).values(used=USAGE.c.used - units))


def used_on(database: Database, day: str) -> dict[str, int]:
    """Give what servers took of each key's quota on a day, by the key's id."""
    with database.reading() as connection:
        rows = connection.execute(select(USAGE.c.key, USAGE.c.used).where(USAGE.c.day == day))
        return {key: used for key, used in rows}  # noqa: C416 - rows are no pairs
