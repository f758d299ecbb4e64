"""What a record of the audit log is, and what its hash covers.

A record is one line of canonical JSON: keys sorted, no spaces, ASCII only. Its hash is the SHA-256
of that line, which holds the hash of the record before it; so whoever changes, removes or moves a
record breaks every hash after it. In Python, over a line of an export:

    line = json.loads(text); claimed = line.pop("hash")
    plain = json.dumps(line, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(plain.encode()).hexdigest() == claimed

Texts are not part of a record. It holds the hash of a text behind a random salt; the salt is kept
with the text, so that without both nobody can find the text by trying, and the chain stays valid.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from pydantic import JsonValue

FIRST: Final = "0" * 64
"""What stands for the hash before the first record."""

Kind = Literal[
    "concept.remark",
    "decision",
    "decision.explain",
    "decision.replay",
    "drift.begin",
    "drift.end",
    "generation.begin",
    "generation.end",
    "job.add",
    "job.delete",
    "job.end",
    "key.add",
    "key.revoke",
    "login.add",
    "login.end",
    "login.refuse",
    "model.changed",
    "policy.approve",
    "policy.expire",
    "policy.propose",
    "policy.refuse",
    "policy.revoke",
    "preset.save",
    "review.verdict",
    "rollout.ask",
    "rollout.promote",
    "rollout.roll-back",
    "rollout.start",
    "server.start",
    "server.stop",
    "steering.try",
    "text.forget",
    "text.read",
]
"""What happened."""

POLICY_KINDS: Final[frozenset[Kind]] = frozenset(
    {"policy.approve", "policy.expire", "policy.propose", "policy.revoke"}
)
"""What changes where a policy stands."""

VERDICT: Final[Kind] = "review.verdict"
"""What a person says about a decision; its body names that decision's record."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What is to be recorded; its place in the chain comes when it is written."""

    kind: Kind

    body: Mapping[str, JsonValue]
    """Facts, never a user's text; no NaN and no infinities."""

    texts: Mapping[str, str] = field(default_factory=dict)
    """Texts by role, such as `input`; the record's body gets their salted hashes."""

    waits: bool = False
    """Whether a person is to decide; then its texts are kept, whatever is done with others."""


class Record(NamedTuple):
    """One link of the chain."""

    seq: int
    """Number from 1, without gaps."""
    time: str
    """UTC, `2026-11-21T09:30:00.123456Z`, as the writer's clock said; order is by `seq`."""
    kind: str
    body: str
    """Canonical JSON."""
    previous: str
    """Hash of the record before it."""
    hash: str
    """SHA-256 of `line`."""

    @property
    def line(self) -> str:
        """Canonical JSON of everything but the hash."""
        return canonical_line(self.seq, self.time, self.kind, self.body, self.previous)

    def exported(self) -> str:
        """Give the line with its hash, as an export has it."""
        return f'{self.line[:-1]},"hash":{json.dumps(self.hash)}}}'


class KeptText(NamedTuple):
    """A text beside the chain, which may be deleted."""

    role: str
    """What it is in the record, such as `input`."""
    salt: str
    """16 random bytes, hexadecimal."""
    text: str
    """The text as a JSON string, so that broken Unicode survives; empty where it is not kept."""


class Receipt(NamedTuple):
    """Which record an answer has."""

    seq: int
    hash: str


# Made once: `json.dumps` would make it at every call.
_CANONICAL: Final = json.JSONEncoder(
    sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False
)


def canonical(content: object) -> str:
    """Write JSON in its one form.

    Raises:
        ValueError: if there is a NaN or an infinity.
    """
    return _CANONICAL.encode(content)


def canonical_line(seq: int, time: str, kind: str, body: str, previous: str) -> str:
    """Put canonical parts together, in the order of their names."""
    return (
        f'{{"body":{body},"kind":{json.dumps(kind)},"previous":{json.dumps(previous)},'
        f'"seq":{seq},"time":{json.dumps(time)}}}'
    )


def line_hash(line: str) -> str:
    """Give the SHA-256 of a record's line, hexadecimal."""
    return hashlib.sha256(line.encode()).hexdigest()


def chained(draft: Draft, seq: int, time: str, previous: str) -> tuple[Record, list[KeptText]]:
    """Put a draft at its place in the chain.

    Returns:
        The record, and its texts with the salts that were drawn for them.
    """
    texts = [KeptText(role, secrets.token_hex(16), quoted(t)) for role, t in draft.texts.items()]
    body = dict(draft.body)
    if texts:
        body["texts"] = {kept.role: salted_hash(kept.salt, kept.text) for kept in texts}
    plain = canonical(body)
    digest = line_hash(canonical_line(seq, time, draft.kind, plain, previous))
    return Record(seq, time, draft.kind, plain, previous, digest), texts


def quoted(text: str) -> str:
    """Write a text as a JSON string in ASCII."""
    return json.dumps(text, ensure_ascii=True)


def salted_hash(salt: str, quoted_text: str) -> str:
    """Give the SHA-256 of a salt's bytes and a quoted text, hexadecimal."""
    return hashlib.sha256(bytes.fromhex(salt) + quoted_text.encode()).hexdigest()
