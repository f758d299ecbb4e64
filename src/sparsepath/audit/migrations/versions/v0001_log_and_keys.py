"""The log, its texts and its head; API keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_REFUSED = "the audit log is append-only"
_SQLITE = (
    "CREATE TRIGGER record_{event} BEFORE {event} ON record "
    "BEGIN SELECT RAISE(ABORT, '" + _REFUSED + "'); END"
)
_FUNCTION = (
    "CREATE FUNCTION record_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION '" + _REFUSED + "'; END $$"
)
_POSTGRESQL = (
    "CREATE TRIGGER record_{event} BEFORE {event} ON record "
    "FOR EACH STATEMENT EXECUTE FUNCTION record_refuse()"
)


def upgrade() -> None:
    """Make the tables, and let the database itself refuse changes of records."""
    op.create_table(
        "record",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("time", sa.String(27), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "text",
        sa.Column("seq", sa.BigInteger, sa.ForeignKey("record.seq"), primary_key=True),
        sa.Column("role", sa.String(32), primary_key=True),
        sa.Column("salt", sa.String(32), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    head = op.create_table(
        "head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("created", sa.String(27), nullable=False),
        sa.Column("expires", sa.String(27), nullable=True),
        sa.Column("revoked", sa.String(27), nullable=True),
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    if not is_sqlite:
        op.execute(_FUNCTION)
    for event in ("UPDATE", "DELETE"):
        op.execute((_SQLITE if is_sqlite else _POSTGRESQL).format(event=event))
