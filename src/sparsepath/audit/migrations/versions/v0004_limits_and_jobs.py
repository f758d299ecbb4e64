"""Limits of API keys and what was used of them; long work of a server."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns and tables; keys that exist have no limits."""
    op.add_column("api_key", sa.Column("per_minute", sa.Integer, nullable=True))
    op.add_column("api_key", sa.Column("per_day", sa.Integer, nullable=True))
    op.create_table(
        "key_usage",
        sa.Column("key", sa.String(16), sa.ForeignKey("api_key.id"), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("used", sa.Integer, nullable=False),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("by", sa.String(80), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("created", sa.String(27), nullable=False),
        sa.Column("started", sa.String(27), nullable=True),
        sa.Column("ended", sa.String(27), nullable=True),
        sa.Column("process", sa.String(64), nullable=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("exit_code", sa.Integer, nullable=True),
        sa.Column("told", sa.Text, nullable=True),
    )
