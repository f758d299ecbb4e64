"""Times of records: UTC to the microsecond, in one form that sorts as it reads."""

from datetime import UTC, datetime, timedelta

from sparsepath.errors import ConfigError


def now() -> str:
    """Now, as `2026-11-21T09:30:00.123456Z`."""
    return written(datetime.now(UTC))


def written(moment: datetime) -> str:
    """Write a moment, which knows its time zone."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def in_days(days: float) -> str:
    """Give the moment so many days from now."""
    return written(datetime.now(UTC) + timedelta(days=days))


def read_time(text: str) -> str:
    """Read a day or moment as people write it, such as `2026-11-21` or `2026-11-21T09:30+09:00`.

    Without a time zone it is UTC; a day is its first moment.

    Raises:
        ConfigError: if it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
        return written(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as err:
        raise ConfigError(
            f"{text[:40]!r} is no time", hint="write 2026-11-21, or 2026-11-21T09:30:00Z"
        ) from err
