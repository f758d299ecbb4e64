"""Servers of one database never take more of a quota than there is."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from sparsepath.audit.database import Database
from sparsepath.audit.keys import KeyLimits, add_key, find_key
from sparsepath.audit.usage import give_back, take, used_on
from sparsepath.errors import ConfigError

DAY, NEXT = "2026-11-21", "2026-11-22"


@pytest.fixture
def key(database: Database) -> str:
    return add_key(database, "router", "viewer", by="tests").key.id


def test_a_quota_is_taken_in_parts_and_no_further(database: Database, key: str) -> None:
    def asked(least: int, wish: int, day: str = DAY) -> int:
        return take(database, key, day, least=least, wish=wish, quota=10)

    assert [asked(1, 4), asked(1, 4), asked(1, 4), asked(1, 4)] == [4, 4, 2, 0]
    give_back(database, key, DAY, 3)
    assert used_on(database, DAY) == {key: 7}
    assert [asked(4, 1), asked(3, 1)] == [0, 3]
    assert asked(1, 1, NEXT) == 1
    assert used_on(database, DAY) == {}  # days that are over go
    assert used_on(database, NEXT) == {key: 1}


def test_servers_that_take_at_once_take_it_once(
    place: str, opened: Callable[[str], Database], database: Database, key: str
) -> None:
    other = opened(place)
    with ThreadPoolExecutor(4) as pool:
        taken = [
            *pool.map(
                lambda i: take((database, other)[i % 2], key, DAY, least=1, wish=3, quota=50),
                range(24),
            )
        ]
    assert sum(taken) == 50
    assert used_on(other, DAY) == {key: 50}


def test_limits_are_part_of_a_key(database: Database) -> None:
    new = add_key(database, "router", "viewer", limits=KeyLimits(60, 1000), by="tests")
    found = find_key(database, new.secret)
    assert found is not None
    assert (found.per_minute, found.per_day) == (60, 1000)
    for limits in (KeyLimits(0, None), KeyLimits(None, -1), KeyLimits(10**10, None)):
        with pytest.raises(ConfigError, match="per_"):
            add_key(database, "router", "viewer", limits=limits, by="tests")
