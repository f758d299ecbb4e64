"""Times of records: UTC to the microsecond, in one form that sorts as it reads."""

from datetime import UTC, datetime, timedelta


def now() -> str:
    """Now, as `2026-11-21T09:30:00.123456Z`."""
    return written(datetime.now(UTC))


def written(moment: datetime) -> str:
    """Write a moment, which knows its time zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def in_days(days: float) -> str:
    """Give the moment so many days from now."""
    return written(datetime.now(UTC) + timedelta(days=days))
