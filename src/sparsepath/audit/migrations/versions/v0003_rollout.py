"""Rollouts in stages: their state, what is counted, what the new model said; drift."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables, and an index of the few records that are verdicts of reviewers."""
    op.create_table(
        "rollout",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("old", sa.Text, nullable=False),
        sa.Column("new", sa.Text, nullable=False),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("asked", sa.Text, nullable=True),
        sa.Column("began", sa.String(27), nullable=False),
        sa.Column("changed", sa.String(27), nullable=False),
        sa.Column("by", sa.String(128), nullable=False),
        sa.Column("first_seq", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "rollout_tally",
        sa.Column("rollout", sa.BigInteger, sa.ForeignKey("rollout.id"), primary_key=True),
        sa.Column("stage", sa.String(16), primary_key=True),
        sa.Column("server", sa.String(16), primary_key=True),
        sa.Column("time", sa.String(27), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "shadow_answer",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("rollout", sa.BigInteger, sa.ForeignKey("rollout.id"), nullable=False),
        sa.Column("old", sa.Text, nullable=False),
        sa.Column("new", sa.Text, nullable=False),
        sa.Column("probability", sa.Float, nullable=False),
        sa.Column("entropy", sa.Float, nullable=False),
    )
    op.create_table(
        "drift",
        sa.Column("model", sa.String(80), primary_key=True),
        sa.Column("through_seq", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.execute("CREATE INDEX record_verdict ON record (seq) WHERE kind = 'review.verdict'")
