"""A key is valid until it expires or is revoked, and the database cannot give it away."""

import pytest
from sqlalchemy import text

from sparsepath.audit import keys as module
from sparsepath.audit.database import Database
from sparsepath.audit.export import exported_lines
from sparsepath.audit.keys import add_key, find_key, list_keys, revoke_key
from sparsepath.audit.roles import ROLES, allows
from sparsepath.audit.verify import verify
from sparsepath.errors import ConfigError


def test_a_key_is_found_by_its_secret_alone(database: Database) -> None:
    new = add_key(database, "router", "operator", by="user:me")
    other = add_key(database, "other", "viewer", days=None, by="user:me")
    assert find_key(database, new.secret) == new.key
    assert find_key(database, other.secret) == other.key
    mixed = new.secret[:20] + other.secret[20:]
    for wrong in (mixed, new.secret + "x", new.secret[:-1], "", "sp_", "\ud800", f"{new.secret}\n"):
        assert find_key(database, wrong) is None
    assert list_keys(database) == [new.key, other.key]


def test_the_database_holds_no_secret(database: Database) -> None:
    secret = add_key(database, "router", "viewer", by="user:me").secret.rpartition("_")[2]
    with database.reading() as connection:
        rows = [*connection.execute(text("SELECT * FROM api_key"))]
    assert secret not in str(rows)
    assert secret not in "".join(exported_lines(database))


def test_a_revoked_key_is_none_and_stays_so(database: Database) -> None:
    new = add_key(database, "router", "admin", by="user:me")
    first = revoke_key(database, new.key.id, by="user:me")
    assert find_key(database, new.secret) is None
    assert revoke_key(database, new.key.id, by="user:me") == first
    kinds = [line.count('"kind":"key.') for line in exported_lines(database)]
    assert kinds == [1, 1]
    assert verify(database).faults == []
    with pytest.raises(ConfigError, match="no key"):
        revoke_key(database, "0" * 16, by="user:me")


def test_an_expired_key_is_none(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    new = add_key(database, "router", "viewer", days=1.0, by="user:me")
    assert find_key(database, new.secret) is not None
    assert new.key.expires is not None
    monkeypatch.setattr(module, "now", lambda: new.key.expires)
    assert find_key(database, new.secret) is None


@pytest.mark.parametrize(
    ("name", "days"), [("", 1.0), ("x" * 65, 1.0), ("a\nb", 1.0), ("a", 0.0), ("a", 1e9)]
)
def test_a_key_out_of_range_is_refused(database: Database, name: str, days: float) -> None:
    with pytest.raises(ConfigError):
        add_key(database, name, "viewer", days=days, by="user:me")
    assert list_keys(database) == []


def test_each_role_may_do_what_those_before_it_may() -> None:
    table = [[allows(role, least) for least in ROLES] for role in ROLES]
    assert table == [[column <= row for column in range(4)] for row in range(4)]
