"""What the routes of the audit log are asked, and what they say."""

from typing import Annotated, Any, Final, get_args

from pydantic import BaseModel, ConfigDict, Field

from sparsepath.audit.clock import read_time
from sparsepath.audit.period import DECISIONS
from sparsepath.audit.record import POLICY_KINDS, VERDICT, Kind
from sparsepath.audit.roles import Role
from sparsepath.audit.search import MAX_FOUND
from sparsepath.audit.search import Query as Asked
from sparsepath.server.auth import Principal
from sparsepath.server.classify import ReceiptOut
from sparsepath.server.problems import Problem

_REVIEWED: Final[tuple[Kind, ...]] = (
    *DECISIONS,
    "decision.explain",
    "decision.replay",
    VERDICT,
    *sorted(POLICY_KINDS),
    "policy.refuse",
)

_OPERATED: Final[tuple[Kind, ...]] = (
    "drift.begin",
    "drift.end",
    "rollout.ask",
    "rollout.promote",
    "rollout.roll-back",
    "rollout.start",
)

READABLE: Final[dict[Role, tuple[Kind, ...]]] = {
    "viewer": (),
    "reviewer": _REVIEWED,
    "operator": (*_REVIEWED, *_OPERATED),
    "admin": get_args(Kind),
}
"""Records that a role reads: of what its other routes show and let it do."""

Moment = Annotated[str, Field(max_length=40, description="Day or moment, UTC by default.")]
Name = Annotated[str, Field(max_length=1000)]


class RecordOut(BaseModel):
    """One record, without its texts."""

    seq: int
    time: str
    kind: str
    body: dict[str, Any]
    previous: str
    hash: str


class Records(BaseModel):
    """A page of records, the newest first."""

    records: list[RecordOut]
    next: int | None = Field(
        description="Give it as `before` for what follows; null: there is nothing. A page may be "
        "short, or empty, although more follows."
    )


class WholeRecord(RecordOut):
    """A record with the texts that are kept."""

    kept: dict[str, str] = Field(description="Texts by role, such as `input`.")
    has_texts: list[str] = Field(description="Roles of the texts that are kept.")


class Brought(BaseModel):
    """A text that someone says a record has."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(default=None, description="Null: the text that is kept.")


class GivenOut(BaseModel):
    """Model, label and probability of a decision."""

    model: str
    sha256: str
    precision: str
    label: str
    probability: float


class ReplayOut(BaseModel):
    """A decision beside what the model says now."""

    seq: int
    then: GivenOut
    now: GivenOut
    is_same_model: bool
    is_same_label: bool
    probability_change: float
    is_same: bool
    record: ReceiptOut


class Filters(BaseModel):
    """What records must have in common; parameters of the address."""

    model_config = ConfigDict(extra="forbid")

    kind: list[Kind] | None = Field(default=None, description="What happened; any of them.")
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to")
    model: Name | None = Field(default=None, description="Name or SHA-256 of a model.")
    label: Name | None = None
    key: Name | None = Field(default=None, description="Id of an API key.")
    request: Name | None = Field(default=None, description="Id of a request.")
    policy: Name | None = Field(default=None, description="Name of a policy.")
    hash: Name | None = Field(
        default=None, description="Of a record, or of one of its texts as the record has it."
    )
    before: int | None = Field(default=None, ge=1, lt=2**63, description="`next` of a page.")
    limit: int = Field(default=50, ge=1, le=MAX_FOUND)

    def query(self, who: Principal) -> Asked:
        """Give what may be looked for by someone.

        Raises:
            Problem: if they ask for a kind of record that they may not read.
            ConfigError: if a time cannot be read.
        """
        kinds = None if self.kind is None else tuple(self.kind)
        if who.role != "admin":
            readable = READABLE[who.role]
            kinds = readable if kinds is None else kinds
            if not set(kinds) <= set(readable):
                raise hidden(who)
        return Asked(
            kinds=kinds,
            since=None if self.since is None else read_time(self.since),
            until=None if self.until is None else read_time(self.until),
            model=self.model,
            label=self.label,
            key=self.key,
            request=self.request,
            policy=self.policy,
            hash=self.hash,
        )


def hidden(who: Principal) -> Problem:
    """Say that a record is not for someone."""
    return Problem(
        403,
        "role",
        f"a key with the role {who.role} does not read records of this kind",
        fix="ask for `kind=decision`, or ask who runs the server for an admin's key",
    )
