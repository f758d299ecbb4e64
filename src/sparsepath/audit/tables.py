"""Tables of the database, as the newest migration leaves them."""

from typing import Final

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Integer, MetaData, String, Table, Text

METADATA: Final = MetaData()

RECORDS: Final = Table(
    "record",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("time", String(27), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
"""The chain; triggers refuse changes."""

TEXTS: Final = Table(
    "text",
    METADATA,
    Column("seq", BigInteger, ForeignKey("record.seq"), primary_key=True),
    Column("role", String(32), primary_key=True),
    Column("salt", String(32), nullable=False),
    Column("text", Text, nullable=False),
)
"""Texts of records, and salts of their hashes; rows may be deleted."""

HEADS: Final = Table(
    "head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)
"""One row: the newest record. Whoever writes holds it, so that writers wait for each other."""

KEYS: Final = Table(
    "api_key",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("created", String(27), nullable=False),
    Column("expires", String(27), nullable=True),
    Column("revoked", String(27), nullable=True),
    Column("per_minute", Integer, nullable=True),
    Column("per_day", Integer, nullable=True),
)
"""API keys; of each only the hash of its secret."""

POLICY_CHANGES: Final = Table(
    "policy_change",
    METADATA,
    Column("seq", BigInteger, ForeignKey("record.seq"), primary_key=True),
)
"""Records that propose, approve, revoke or end a policy; their bodies say which."""

WAITING: Final = Table(
    "review_waiting",
    METADATA,
    Column("seq", BigInteger, ForeignKey("record.seq"), primary_key=True),
)
"""Decisions that wait for a person's first verdict."""

VERDICTS: Final = Table(
    "review_verdict",
    METADATA,
    Column("seq", BigInteger, ForeignKey("record.seq"), primary_key=True),
    Column("decision", BigInteger, ForeignKey("record.seq"), nullable=False, index=True),
)
"""Verdicts of persons, by their own records; the last one of a decision counts."""
ROLLOUTS: Final = Table(
    "rollout",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("share", Float, nullable=False),
    Column("old", Text, nullable=False),
    Column("new", Text, nullable=False),
    Column("rules", Text, nullable=False),
    Column("asked", Text, nullable=True),
    Column("began", String(27), nullable=False),
    Column("changed", String(27), nullable=False),
    Column("by", String(128), nullable=False),
    Column("first_seq", BigInteger, nullable=False),
)
"""Rollouts; models, rules and what gates ask for are JSON."""

TALLIES: Final = Table(
    "rollout_tally",
    METADATA,
    Column("rollout", BigInteger, ForeignKey("rollout.id"), primary_key=True),
    Column("stage", String(16), primary_key=True),
    Column("server", String(16), primary_key=True),
    Column("time", String(27), nullable=False),
    Column("body", Text, nullable=False),
)
"""What each server counted in each stage, as JSON."""

SHADOW_ANSWERS: Final = Table(
    "shadow_answer",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("rollout", BigInteger, ForeignKey("rollout.id"), nullable=False),
    Column("old", Text, nullable=False),
    Column("new", Text, nullable=False),
    Column("probability", Float, nullable=False),
    Column("entropy", Float, nullable=False),
)
"""What the new model said in the shadow stage, beside the decision's record `seq`."""

DRIFTS: Final = Table(
    "drift",
    METADATA,
    Column("model", String(80), primary_key=True),
    Column("through_seq", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)
"""How far a model's answers were compared with those of its PoC, and what came of it."""
USAGE: Final = Table(
    "key_usage",
    METADATA,
    Column("key", String(16), ForeignKey("api_key.id"), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("used", Integer, nullable=False),
)
"""What servers took of a key's quota, by UTC day."""

JOBS: Final = Table(
    "job",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("name", String(100), nullable=False),
    Column("options", Text, nullable=False),
    Column("by", String(80), nullable=False),
    Column("host", String(255), nullable=False),
    Column("folder", Text, nullable=False),
    Column("created", String(27), nullable=False),
    Column("started", String(27), nullable=True),
    Column("ended", String(27), nullable=True),
    Column("process", String(64), nullable=True),
    Column("attempts", Integer, nullable=False),
    Column("exit_code", Integer, nullable=True),
    Column("told", Text, nullable=True),
)
"""Long work that was asked of a server."""

LOGINS: Final = Table(
    "login",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("person", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("created", String(27), nullable=False),
    Column("expires", String(27), nullable=False, index=True),
    Column("ended", String(27), nullable=True),
)
"""Persons who logged in; of what their browsers send only the hash."""
