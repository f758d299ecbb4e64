"""Requests and answers of `/api/v1/steering`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sparsepath.artifacts.steering import EditLimit
from sparsepath.server.classify import ReceiptOut
from sparsepath.server.models import ModelName
from sparsepath.server.openai_schema import MAX_EDITS
from sparsepath.server.steering.subject import Kind

Edits = Annotated[
    list[Annotated[str, Field(max_length=200)]],
    Field(max_length=MAX_EDITS, description="Such as `L02/117=8` or `L02/117=off`."),
]
Use = Annotated[
    str | None, Field(max_length=64, description="What it is for, as a policy names it.")
]
What = Literal["steer", "try", "sweep", "positions"]


class Lack(BaseModel):
    """Something that this server cannot do with this model."""

    what: What
    why: str
    fix: str


class SiteOut(BaseModel):
    """A site whose entries can be edited."""

    site: str
    width: int = Field(description="Entries.")
    layers: list[int]
    is_sparse: bool = Field(description="If not, editing it must be asked for with `dense_sites`.")


class PresetOut(BaseModel):
    """A steering preset in the model's folder."""

    name: str
    sha256: str | None = Field(description="Of its content; null: it cannot be used.")
    edits: list[str]
    neurons: list[str]
    operations: list[str] = Field(description="Of each edit: set, scale, add or suppress.")
    values: list[float]
    limits: list[EditLimit]
    dense_sites: bool
    author: str
    note: str
    created: str
    trouble: str = Field(description="Why it cannot be used; empty where it can.")


class SteeringOut(BaseModel):
    """What can be steered, and what this server cannot do."""

    model: ModelName
    weights_sha256: str | None = Field(description="To which presets and policies belong.")
    kind: Kind | None = Field(description="null: nothing can be steered.")
    lacks: list[Lack]
    sites: list[SiteOut]
    presets: list[PresetOut]
    catalogue: str | None = Field(description="Catalogue of the model, to look labels up in.")
    catalogue_sha256: str | None = Field(description="On which a policy can rest.")
    is_policy_needed: bool
    uses: list[str] = Field(description="That approved policies name.")


class NeuronLimits(BaseModel):
    """How strongly a neuron may be edited."""

    name: str
    largest: float = Field(description="Size of its largest value on ordinary text; 0: never.")
    value: float | None = Field(description="Largest size of a set or added value; null: any.")
    factor: float = Field(description="Largest size of a factor.")
    is_sparse: bool


class TryAsked(BaseModel):
    """A text for a classifier, and how it is steered."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=100_000)
    steer: Edits = []
    preset: str | None = Field(default=None, max_length=64, description="In place of `steer`.")
    use: Use = None


class PermitOut(BaseModel):
    """The policy that allowed something."""

    name: str
    version: int
    sha256: str
    use: str


class TriedOut(BaseModel):
    """What a classifier says of a text, without and with steering."""

    request: str
    model: ModelName
    edits: list[str]
    unsteered: dict[str, float] = Field(description="Probability by label.")
    steered: dict[str, float] = Field(description="The likeliest first.")
    policy: PermitOut | None = Field(description="null: none was needed.")
    record: ReceiptOut


class SaveAsked(BaseModel):
    """Edits that are to be kept."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    steer: Edits
    note: str = Field(default="", max_length=500)
    dense_sites: bool = False
    replace: bool = Field(default=False, description="Take the place of one of that name.")
