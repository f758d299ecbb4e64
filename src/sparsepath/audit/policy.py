"""A policy: who may steer a model by what, how strongly, for what, until when.

A policy belongs to the weights, and to the catalogue of neurons, whose hashes it holds. It is
written by one person and approved by another; what was approved is known by its hash.

Read with: `policy_file.py` (its TOML file), `policy_rules.py` (what is allowed),
`policies.py` (proposing and approving).
"""

import hashlib
import math
import re
import unicodedata
from collections import Counter
from datetime import UTC, date, datetime
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from sparsepath.artifacts.base import Artifact
from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.neuron import Neuron
from sparsepath.audit.clock import written
from sparsepath.audit.record import canonical
from sparsepath.audit.roles import Role

POLICY_SCHEMA: Final = 1
"""Version of the file; raised when a key is renamed or removed."""

MAX_LISTED: Final = 1000
"""Presets, neurons and uses of one policy, of each at most."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_YEARS: Final = (2000, 9998)
"""Outside, records' times would not sort as they read."""

State = Literal["proposed", "approved", "revoked", "superseded", "expired"]
"""Where a policy stands; only an approved one allows anything."""


def _named(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name[:80]!r} is no name: letters, digits, `.`, `-`, `_`, at most 64")
    return name


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that cannot be printed, such as line ends")
    return text


def _moment(value: object) -> object:
    """Write a date, which is its beginning in UTC, or a time with its zone, as records have it."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as err:
            raise ValueError("write 2027-06-30 or 2027-06-30T12:00:00Z") from err
        if value.tzinfo is None and value.time() == datetime.min.time():
            value = value.date()
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError("a time needs its zone, as in 2027-06-30T12:00:00Z")
    if not _YEARS[0] <= value.year <= _YEARS[1]:
        raise ValueError(f"the year {value.year} is not within {_YEARS[0]} to {_YEARS[1]}")
    return written(value)


Name = Annotated[str, AfterValidator(_named)]
"""Letters, digits, `.`, `-`, `_`; at most 64."""

Line = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
"""A line of text."""

Person = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_printable)]
"""Name of a person or key."""

Moment = Annotated[str, BeforeValidator(_moment)]
"""UTC, as records have it; read from a date or a time with its zone."""

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}(,[0-9a-f]{64})*$", max_length=65 * 200)]
"""SHA-256, hexadecimal; of several files, joined by commas."""


class AllowedPreset(Artifact):
    """A preset that may be used as it is."""

    name: Name
    sha256: Hash
    """Of its content; another preset of that name is not this one."""


class StrengthLimit(Artifact):
    """What may be done to a neuron, from one strength to another, both included."""

    neuron: str
    """Such as `L02/117`."""
    set: tuple[float, float] | None = None
    """What it may be set to; None: nothing."""
    add: tuple[float, float] | None = None
    """What may be added."""
    scale: tuple[float, float] | None = None
    """Factors it may be multiplied by."""
    suppress: bool = False
    """Whether it may be switched off."""

    @field_validator("neuron")
    @classmethod
    def _known(cls, name: str) -> str:
        """Write the name as all names are written."""
        found = Neuron.parse(name)
        if found.side:
            raise ValueError(f"{name} is one sign of an entry; name the entry, {found.entry.name}")
        return found.name

    @model_validator(mode="after")
    def _check(self) -> "StrengthLimit":
        """See that something is allowed, and limits are in their order."""
        ranges = {"set": self.set, "add": self.add, "scale": self.scale}
        for operation, limits in ranges.items():
            if limits is None:
                continue
            low, high = limits
            if not (math.isfinite(low) and math.isfinite(high)):
                raise ValueError(f"{operation} of {self.neuron} has a limit that is not finite")
            if low > high:
                raise ValueError(f"{operation} of {self.neuron} from {low:g} to {high:g} is empty")
        if not self.suppress and not any(ranges.values()):
            raise ValueError(f"{self.neuron} is listed, but nothing may be done to it")
        return self

    def allows(self, edit: Edit) -> bool:
        """Say whether an edit of this neuron is within the limits."""
        if edit.operation == "suppress":
            return self.suppress
        limits = {"set": self.set, "add": self.add, "scale": self.scale}[edit.operation]
        return limits is not None and limits[0] <= edit.value <= limits[1]


class Approval(Artifact):
    """Who wrote a policy and who approved it, as its file has it once that was done."""

    author: Person
    proposed: Moment
    approver: Person
    approved: Moment
    sha256: Hash
    """Of the policy that was approved."""

    @model_validator(mode="after")
    def _check(self) -> "Approval":
        """See that two persons did it."""
        if same_person(self.author, self.approver):
            raise ValueError(f"{self.approver} wrote this policy and cannot approve it")
        return self


class Policy(Artifact):
    """What may be used, for what, by whom, until when."""

    schema_version: Literal[1] = Field(default=POLICY_SCHEMA, alias="schema")
    name: Name
    version: int = Field(ge=1, le=10**6)
    """Counts from 1; a version that was proposed never changes."""
    owner: Person
    """Who answers for it."""
    note: Line = ""
    model: Line
    """Name of the model."""
    model_sha256: Hash
    """Of its weights."""
    catalogue_sha256: Hash | None = None
    """Of what the catalogue beside the model says (`policy_model.catalogue_sha256`); None: the
    policy does not rest on one."""
    uses: tuple[Name, ...] = Field(min_length=1, max_length=MAX_LISTED)
    """What it may be used for, such as `draft-reply`."""
    role: Role = "viewer"
    """What the key of who asks must have at least."""
    expires: Moment
    """When it ends."""
    presets: tuple[AllowedPreset, ...] = Field(default=(), max_length=MAX_LISTED)
    neurons: tuple[StrengthLimit, ...] = Field(default=(), max_length=MAX_LISTED)
    """What may be edited beside these presets."""
    approval: Approval | None = None

    @model_validator(mode="after")
    def _check(self) -> "Policy":
        """See that something is allowed, nothing twice, and the approval is of this content."""
        if not self.presets and not self.neurons:
            raise ValueError("names neither presets nor neurons, so it allows nothing")
        listed = [
            *(f"the preset {preset.name}" for preset in self.presets),
            *(f"the neuron {limit.neuron}" for limit in self.neurons),
            *(f"the use {use}" for use in self.uses),
        ]
        item, n = Counter(listed).most_common(1)[0]
        if n > 1:
            raise ValueError(f"names {item} twice")
        if self.approval is not None and self.approval.sha256 != self.sha256:
            raise ValueError(
                f"was changed after its approval: its content has hash {self.sha256[:12]}..., "
                f"approved was {self.approval.sha256[:12]}..."
            )
        return self

    @property
    def plain(self) -> dict[str, JsonValue]:
        """The content as JSON, without the approval."""
        return self.model_dump(mode="json", by_alias=True, exclude={"approval"})

    @property
    def sha256(self) -> str:
        """Hash of the content, without the approval and what is left at its default."""
        told = self.model_dump(
            mode="json", by_alias=True, exclude={"approval"}, exclude_defaults=True
        )
        return hashlib.sha256(canonical(told).encode()).hexdigest()

    def limit(self, neuron: str) -> StrengthLimit | None:
        """Give what may be done to a neuron; None: it is not listed."""
        return next((limit for limit in self.neurons if limit.neuron == neuron), None)


class Standing(NamedTuple):
    """A policy and what became of it."""

    policy: Policy
    sha256: str
    author: str
    proposed: str
    """UTC, as all times here."""
    approver: str | None = None
    approved: str | None = None
    end: Literal["revoked", "superseded", "expired"] | None = None
    """What ended it; None: nothing yet."""
    ended: str | None = None
    ended_by: str | None = None
    """Who revoked it, or which version took its place."""
    reason: str = ""
    """Why it was revoked."""

    def state(self, moment: str) -> State:
        """Say where it stands at a time."""
        if self.end is not None:
            return self.end
        if self.policy.expires <= moment:
            return "expired"
        return "proposed" if self.approved is None else "approved"

    def told(self, moment: str) -> dict[str, JsonValue]:
        """Give everything as JSON, with where it stands at a time."""
        return {
            **self._asdict(),
            "policy": self.policy.plain,
            "state": self.state(moment),
        }

    @property
    def signed(self) -> Policy:
        """The policy with its approval, where it has one."""
        if self.approver is None or self.approved is None:
            return self.policy
        approval = Approval(
            author=self.author,
            proposed=self.proposed,
            approver=self.approver,
            approved=self.approved,
            sha256=self.sha256,
        )
        return self.policy.model_copy(update={"approval": approval})


def standing_of(policy: Policy) -> Standing:
    """Say where a policy stands as far as its file tells, which knows nothing of revocations."""
    found = policy.approval
    content = policy.model_copy(update={"approval": None})
    if found is None:
        return Standing(content, policy.sha256, "its author", "")
    return Standing(
        content, policy.sha256, found.author, found.proposed, found.approver, found.approved
    )


def same_person(one: str, other: str) -> bool:
    """Say whether two names are one person's; case, width and spaces of letters do not matter.

    Who logged in is called `NAME <ID>` (`logins.person_of`). Such a person is whoever has the
    same name or the same id, so that nobody becomes another by changing what they are called.
    """
    return not _marks(one).isdisjoint(_marks(other))


def _marks(name: str) -> set[str]:
    """Give what a person is told by."""
    plain = "".join(unicodedata.normalize("NFKC", name).casefold().split())
    called, bracket, id_ = plain.rpartition("<")
    if bracket and called and re.fullmatch("[0-9a-f]{12}>", id_):
        return {called, bracket + id_}
    return {plain}
