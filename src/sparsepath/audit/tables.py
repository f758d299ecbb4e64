"""Tables of the database, as the newest migration leaves them."""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, String, Table, Text

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
)
"""API keys; of each only the hash of its secret."""
