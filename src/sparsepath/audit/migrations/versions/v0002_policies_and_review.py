"""Which records change policies; which decisions wait for a person, and which verdicts they got."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables; records themselves hold what is true."""
    op.create_table(
        "policy_change",
        sa.Column("seq", sa.BigInteger, sa.ForeignKey("record.seq"), primary_key=True),
    )
    op.create_table(
        "review_waiting",
        sa.Column("seq", sa.BigInteger, sa.ForeignKey("record.seq"), primary_key=True),
    )
    op.create_table(
        "review_verdict",
        sa.Column("seq", sa.BigInteger, sa.ForeignKey("record.seq"), primary_key=True),
        sa.Column("decision", sa.BigInteger, sa.ForeignKey("record.seq"), nullable=False),
    )
    op.create_index("review_verdict_decision", "review_verdict", ["decision"])
