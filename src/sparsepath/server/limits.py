"""How much a key may ask: so many requests and texts in a minute, and in a day.

The minute is counted in this process: n servers let n times as much through. The day is counted in
the database by all servers together. So that not every request waits for the disk, a server
takes a hundredth of the quota at a time; what it did not use it returns when it stops, and loses
when it is killed.
"""

import asyncio
import math
from datetime import UTC, datetime
from time import monotonic
from typing import Final, NamedTuple, final

from sparsepath.audit.clock import now
from sparsepath.audit.database import Database
from sparsepath.audit.keys import Key
from sparsepath.audit.usage import give_back, take
from sparsepath.errors import RunError
from sparsepath.server.logs import log
from sparsepath.server.metrics import Metrics
from sparsepath.server.problems import Problem

PORTIONS: Final = 100
"""Parts of a quota that are taken one at a time."""


class _Bucket(NamedTuple):
    """What a key may ask at once."""

    level: float
    at_s: float


class _Portion(NamedTuple):
    """What is left of the part of a quota that was taken."""

    day: str
    units: int


@final
class Limits:
    """Counts what keys ask."""

    def __init__(self, database: Database, metrics: Metrics) -> None:
        self._database, self._metrics = database, metrics
        self._buckets: dict[str, _Bucket] = {}
        self._portions: dict[str, _Portion] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def charge(self, key: Key | None, units: int = 1) -> None:
        """Count requests or texts of a key.

        Raises:
            Problem: if they are more than it may ask.
            RunError: if the database cannot be reached.
        """
        if key is None or units < 1:
            return
        if key.per_minute is not None:
            self._charge_minute(key.id, key.per_minute, units)
        if key.per_day is not None:
            async with self._locks.setdefault(key.id, asyncio.Lock()):
                await self._charge_day(key.id, key.per_day, units)

    async def close(self) -> None:
        """Return what was not used."""
        for key, portion in self._portions.items():
            if portion.units:
                try:
                    await asyncio.to_thread(give_back, self._database, key, *portion)
                except RunError as err:
                    log("quota not returned", key=key, why=err.message)
        self._portions.clear()

    def _charge_minute(self, key: str, most: int, units: int) -> None:
        """Take from a bucket that holds a minute's worth and fills steadily."""
        if units > most:
            raise Problem(
                422,
                "too_many",
                f"{units} texts at once, but the key may ask {most} a minute",
                fix="send fewer texts at a time",
            )
        at_s = monotonic()
        bucket = self._buckets.get(key, _Bucket(most, at_s))
        level = min(most, bucket.level + (at_s - bucket.at_s) * most / 60)
        if level < units:
            self._buckets[key] = _Bucket(level, at_s)
            self._refuse("minute", most, math.ceil((units - level) * 60 / most))
        self._buckets[key] = _Bucket(level - units, at_s)

    async def _charge_day(self, key: str, most: int, units: int) -> None:
        day = now()[:10]
        held = self._portions.get(key)
        left = held.units if held is not None and held.day == day else 0
        if left < units:
            wish = max(1, most // PORTIONS)
            taken = await asyncio.to_thread(
                take, self._database, key, day, least=units - left, wish=wish, quota=most
            )
            if not taken:
                self._refuse("day", most, _until_tomorrow_s())
            left += taken
        self._portions[key] = _Portion(day, left - units)

    def _refuse(self, span: str, most: int, seconds: int) -> None:
        self._metrics.limited.add(span)
        raise Problem(
            429,
            "limit",
            f"the key may ask {most} requests and texts a {span}",
            fix=f"ask again in {seconds} s, or ask who runs the server for a higher limit",
            headers={"Retry-After": str(max(1, seconds))},
        )


def _until_tomorrow_s() -> int:
    """Give the seconds until the next UTC day."""
    moment = datetime.now(UTC)
    return 86_400 - (moment.hour * 3600 + moment.minute * 60 + moment.second)
